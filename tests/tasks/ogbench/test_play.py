"""Play by OGBench's own oracles."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.ogbench.cells import CELLS
from tasks.registry import make


@pytest.mark.parametrize("name", ["cube-single", "puzzle-3x3"])
def test_play_moves_what_there_is_and_repeats_itself(name: str) -> None:
    """Forty steps are enough for one press, and for the hand to have come to the cube."""
    world, ends = make(f"ogbench:{name}"), []
    scene = world.make_scene(())
    assert world.play is not None
    for _ in range(2):
        rng = np.random.default_rng(5)
        states = scene.sample_states(rng, 2)
        begun, play = scene.observe(states), world.play(2, rng)
        before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
        for _ in range(40):
            actions = play(scene.observe(states), states)
            states = scene.rollout(states, actions[:, None].astype(np.float32))[:, 0]
        assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002
        ends.append(states)
    assert np.array_equal(*ends)
    obs = scene.observe(ends[0])
    if CELLS[name].lights:
        lights = [world.spec.index(one) for one in CELLS[name].lights]
        assert (obs[:, lights] != begun[:, lights]).any(axis=1).all()
    else:
        handle = list(world.spec.fixture("cube_x").handle)
        near = np.linalg.norm(obs[:, handle], axis=1)
        assert (near < np.linalg.norm(begun[:, handle], axis=1)).all() and near.min() < 0.06


def test_what_comes_next_is_drawn_as_theirs_is() -> None:
    """A locked slide is tried a quarter as often, and the cube is left alone in the drawer."""
    world = make("ogbench:scene")
    scene, rng = world.make_scene(()), np.random.default_rng(0)
    assert world.play is not None
    play = world.play(1, rng)
    state = scene.sample_states(rng, 1, {"drawer": 0.0})[0]
    state[-2:] = 0.0
    shares = play._shares(state, state[-2:] > 0.5)  # type: ignore[attr-defined]
    assert shares == pytest.approx(np.array([1.0, 1.0, 0.25, 0.25]) / 2.5)
    task = world.tasks["task4_put_in_drawer"]
    at = scene._columns["cube_x"]  # type: ignore[index]
    state[at : at + 3] = task.operators[-1].task.to  # type: ignore[attr-defined]
    state[-1] = 1.0
    shares = play._shares(state, state[-2:] > 0.5)  # type: ignore[attr-defined]
    assert shares == pytest.approx(np.array([0.0, 1.0, 0.25, 1.0]) / 2.25)
