"""A simulation that diverges is found out: MuJoCo itself would quietly go on from the model's first pose."""

import warnings

import numpy as np
import pytest

from tasks.errors import TaskError
from tasks.registry import make


@pytest.mark.parametrize("name", ["kitchen", "dm_control:walker", "gym:Hopper-v5"])
@pytest.mark.parametrize("speed", [1e7, 1e12])
def test_it_is_marked_and_the_others_go_on(name: str, speed: float) -> None:
    environment = make(name)
    scene = environment.make_scene(())
    states = scene.sample_states(np.random.default_rng(0), 3)
    good = scene.rollout(states, np.zeros((3, 4, environment.spec.action_size), np.float32))
    assert np.isfinite(good).all()
    states[1, 1 + scene.model.nq : 1 + scene.model.nq + scene.model.nv] = speed
    path = scene.rollout(states, np.zeros((3, 4, environment.spec.action_size), np.float32))
    assert np.isnan(path[1]).any(axis=-1).all()
    np.testing.assert_array_equal(path[[0, 2]], good[[0, 2]])


def test_a_single_step_says_so() -> None:
    scene = make("kitchen").make_scene(())
    state = scene.sample_states(np.random.default_rng(0), 1)[0]
    state[1 + scene.model.nq :][: scene.model.nv] = 1e12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene.set_state(state)
        with pytest.raises(TaskError, match="diverged"):
            scene.step(np.zeros(scene.spec.action_size, np.float32))
