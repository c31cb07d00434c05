"""Scripted behaviours: noise, babbling and reaching."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collection.policies import Babble, Behaviour, Noise, babbling
from mbtransfer.collection.rollout import run_lockstep
from tasks.errors import TaskError
from tasks.hand_control import HandController
from tasks.registry import make

KITCHEN = make("kitchen")


@pytest.mark.parametrize("make_behaviour", [Noise, Babble])
def test_behaviours_are_a_function_of_their_seed(make_behaviour: Callable[..., Behaviour]) -> None:
    scene = KITCHEN.make_scene(())
    states = scene.sample_states(np.random.default_rng(0), 4)
    runs = []
    for seed in (1, 1, 2):
        behaviour = make_behaviour(scene.spec, 4, np.random.default_rng(seed))
        assert isinstance(behaviour, Behaviour)
        runs.append(run_lockstep(scene, behaviour, states, 8, tag="x", seed=seed))
    assert all(np.array_equal(a.state, b.state) for a, b in zip(runs[0], runs[1], strict=True))
    assert not np.array_equal(runs[0][0].state, runs[2][0].state)


def test_noise_is_a_slow_walk_of_unit_spread() -> None:
    noise = Noise(KITCHEN.spec, 400, np.random.default_rng(0), memory=0.9)
    steps = np.stack([noise.act(np.zeros((400, 1), np.float32), np.zeros((400, 1))) for _ in range(50)])
    assert steps.std() == pytest.approx(1.0, abs=0.05)
    assert (steps[1:] * steps[:-1]).mean() == pytest.approx(0.9, abs=0.05)


def travel(**settings: object) -> dict[str, float]:
    """How much of its range a babbling hand shows of each fixture in an episode, on average."""
    scene, rng = KITCHEN.make_scene(()), np.random.default_rng(3)
    babble = Babble(scene.spec, 12, rng, **settings)  # type: ignore[arg-type]
    episodes = run_lockstep(scene, babble, scene.sample_states(rng, 12), 60, tag="babble", seed=0)
    return {
        f.name: float(np.mean([np.ptp(e.obs[:, f.position]) for e in episodes]) / f.span)
        for f in scene.spec.fixtures
    }


def test_babbling_and_reaching_move_most_fixtures() -> None:
    for way in (travel(), travel(reach_only=True)):
        assert sum(share > 0.05 for share in way.values()) >= 5
    drawer = travel(fixtures=("drawer",))
    assert max(drawer, key=drawer.__getitem__) == "drawer"


def test_babbling_at_one_fixture_stays_with_it() -> None:
    spec = KITCHEN.spec
    babble = Babble(spec, 50, np.random.default_rng(0), fixtures=("tap",))
    scene = KITCHEN.make_scene(())
    obs = scene.observe(scene.sample_states(np.random.default_rng(1), 50))
    aim = obs[:, list(spec.fixture("tap").handle)]
    action = np.mean([babble.act(obs, np.zeros((50, 1)))[:, :3] for _ in range(10)], axis=0)
    along = (aim * action).sum(axis=1) / np.linalg.norm(aim, axis=1) / np.linalg.norm(action, axis=1)
    assert np.median(along) > 0.8 and np.abs(action).max() <= 1.0


def test_a_hand_takes_hold_from_as_near_as_it_must() -> None:
    scene = KITCHEN.make_scene(())
    obs = scene.observe(scene.sample_states(np.random.default_rng(1), 50))
    tap = scene.spec.fixture("tap")
    obs[:, list(tap.handle)] = [0.05, 0.0, 0.0]
    far, near = (
        Babble(scene.spec, 50, np.random.default_rng(0), fixtures=("tap",), probe=True, reach=reach)
        for reach in (0.03, 0.075)
    )
    idle = np.zeros((50, 1))
    assert (near.act(obs, idle)[:, 3] > 0.2).all() and not (far.act(obs, idle)[:, 3] > 0.2).all()


def test_a_scene_with_a_lead_is_babbled_in_by_the_hand() -> None:
    scene, wished = KITCHEN.make_scene(()), []

    def steer(states: Float[ndarray, "n S"], wishes: Float[ndarray, "n 4"]) -> Float[ndarray, "n A"]:
        wished.append(wishes)
        return np.full((len(wishes), 4), 0.25)

    scene.hand_controller = HandController(steer, lambda rng, states: states)
    states = scene.sample_states(np.random.default_rng(1), 5)
    babble = babbling(scene, 5, np.random.default_rng(0), fixtures=("tap",), probe=True)
    actions = np.mean([babble.act(scene.observe(states), states) for _ in range(30)], axis=(0, 1))
    assert len(wished) == 30 and wished[0].shape == (5, 4)
    assert actions == pytest.approx(0.25, abs=0.1), "the lead's, but for some noise"


def test_babbling_at_an_unknown_fixture_is_refused() -> None:
    with pytest.raises(TaskError, match="did you mean 'drawer'"):
        Babble(KITCHEN.spec, 1, np.random.default_rng(0), fixtures=("drawr",))
