"""Ours is theirs: physics, observations and success are those of FrankaKitchen-v1 with its noise off."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.franka_kitchen.scene import INITIAL
from tasks.franka_kitchen.tasks import SUBTASKS, left_to_complete
from tasks.simulator import Simulator

STEPS = 20
SEEN = 59
"""Columns of the environment's own observation; ours begins with them."""


def ours(theirs: Any) -> np.ndarray:
    """The state that their simulation is in."""
    model, data = theirs.model, theirs.data
    state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
    mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    return state


def plan(seed: int, steps: int = STEPS) -> np.ndarray:
    drawn = np.random.default_rng(seed).uniform(-1.3, 1.3, ((steps + 3) // 4, 9))
    return np.repeat(drawn, 4, axis=0)[:steps].astype(np.float32)


def test_the_start_is_theirs(theirs: Any, franka_scene: Simulator) -> None:
    seen = theirs.reset(seed=0)[0]["observation"]
    state = ours(theirs)
    assert np.array_equal(state[1:31], INITIAL) and not state[31:].any()
    assert np.array_equal(franka_scene.observe(state)[:SEEN], seen.astype(np.float32))
    drawn = franka_scene.sample_states(np.random.default_rng(0), 4)
    assert np.abs(drawn - state).max() <= 0.05 and len(np.unique(drawn[:, 1])) == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rollout_is_their_episode_bit_for_bit(theirs: Any, franka_scene: Simulator, seed: int) -> None:
    """Their solver starts from where it was; ours starts cold, so that a step is a function of the state."""
    theirs.reset(seed=seed)
    start, actions = ours(theirs), plan(seed)
    path = franka_scene.rollout(start[None], actions[None])[0]
    for action, state in zip(actions, path, strict=True):
        theirs.data.qacc_warmstart[:] = 0.0
        seen = theirs.step(action)[0]["observation"]
        assert np.array_equal(ours(theirs), state)
        # What is seen is clipped to its range; the fingers' soft limits aside it is theirs.
        assert franka_scene.observe(state)[:SEEN] == pytest.approx(seen.astype(np.float32), abs=1e-6)


def test_their_warm_solver_hardly_differs(theirs: Any, franka_scene: Simulator) -> None:
    theirs.reset(seed=0)
    actions = 0.5 * plan(2)
    path = franka_scene.rollout(ours(theirs)[None], actions[None])[0]
    for action in actions:
        theirs.step(action)
    assert ours(theirs)[:31] == pytest.approx(path[-1, :31], abs=1e-3)


def test_stepping_and_rolling_out_agree(franka_scene: Simulator) -> None:
    start = franka_scene.sample_states(np.random.default_rng(0), 2)
    actions = np.stack([plan(3, 8), plan(4, 8)])
    path = franka_scene.rollout(start, actions)
    for row in range(2):
        franka_scene.set_state(start[row])
        for action, state in zip(actions[row], path[row], strict=True):
            assert np.array_equal(franka_scene.step(action), franka_scene.observe(state))
            assert np.array_equal(franka_scene.get_state(), state)


@pytest.mark.parametrize("name", list(SUBTASKS))
def test_success_is_their_judgement(
    theirs: Any, franka: Environment, franka_scene: Simulator, name: str
) -> None:
    """Positions on both sides of the threshold, along random ways from the goal."""
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

    theirs_name = name.replace("_", " ")
    places, goal = OBS_ELEMENT_INDICES[theirs_name], OBS_ELEMENT_GOALS[theirs_name]
    assert SUBTASKS[name][:2] == (tuple(places), tuple(goal))
    rng = np.random.default_rng(0)
    states = np.repeat(franka_scene.sample_states(rng, 1), 40, axis=0)
    way = rng.normal(size=(40, len(places)))
    way *= np.linspace(0.0, 0.6, 40)[:, None] / np.linalg.norm(way, axis=1, keepdims=True)
    lowest, highest = zip(*(_seen(franka, place) for place in places), strict=True)
    states[:, 1 + places] = np.clip(goal + way, lowest, highest)
    success = franka.task(name).success(torch.from_numpy(franka_scene.observe(states))).numpy()
    theirs.tasks_to_complete = {theirs_name}
    judged = []
    for state in states:
        theirs.data.qpos[:] = state[1:31]
        judged.append(theirs.compute_reward({theirs_name: theirs.data.qpos[places]}, theirs.goal, {}) > 0)
    assert np.array_equal(success, judged) and 0 < success.sum() < 40


def test_what_is_left_is_their_tasks_to_complete(theirs: Any, franka_scene: Simulator) -> None:
    """Subtasks are put to their goals one after the other; what was complete once stays off the list."""
    info = theirs.reset(seed=0)[1]
    path = []
    for name in ("microwave", "kettle", "light switch", "slide cabinet"):
        places, goal, _ = SUBTASKS[name.replace(" ", "_")]
        theirs.robot_env.set_state(np.array(INITIAL), np.zeros(29))
        theirs.data.qpos[list(places)] = goal
        info = theirs.step(np.zeros(9))[4]
        path.append(franka_scene.observe(ours(theirs)))
        assert left_to_complete(theirs.goal, np.array(path)) == set(info["tasks_to_complete"])
    assert len(info["tasks_to_complete"]) == 3


def _seen(franka: Environment, place: int) -> tuple[float, float]:
    variable = franka.spec.observation[9 + place]
    return variable.low, variable.high
