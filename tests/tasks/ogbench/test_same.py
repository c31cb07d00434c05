"""Ours is theirs: physics, handles, starts and success are those of OGBench's own environments."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.ogbench.cells import CELLS
from tasks.registry import make
from tasks.simulator import Simulator
from tasks.task_starts import fresh_states

pytestmark = pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")  # of its action space


def put(env: Any, state: np.ndarray) -> None:
    """Their environment into a state of ours."""
    nq, nv = env.model.nq, env.model.nv
    lights = state[1 + nq + nv :].astype(int)
    env.set_state(state[1 : 1 + nq], state[1 + nq : 1 + nq + nv], *([lights] if len(lights) else []))
    env.data.time = state[0]


def state_of(env: Any) -> np.ndarray:
    return np.concatenate([env.data.qpos, env.data.qvel, getattr(env, "_cur_button_states", [])])


def onto(world: Environment, obs: np.ndarray, fixture: str, rng: np.random.Generator) -> np.ndarray:
    """An action that brings a closed hand down on a fixture from above, roughly."""
    way = obs[list(world.spec.fixture(fixture).handle)] / 0.05
    way[2] += 1.5 if np.linalg.norm(way[:2]) > 0.6 else -0.5
    return np.clip(np.append(way, [0.0, 1.0]) + 0.1 * rng.normal(size=5), -1, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "fixture", "button"),
    [("scene", "window_button", 1), ("cube-single", "cube_x", None), ("puzzle-3x3", "button_3", 3)],
)
def test_an_episode_is_theirs(theirs: dict[str, Any], name: str, fixture: str, button: int | None) -> None:
    """Bit for bit, if their solver starts cold as ours does, and joints are asked for what ours asks for.

    What both ask for is compared below: it agrees within 1e-6, which a contact can make 1e-3 of in one control step.
    """
    world, env, rng = make(f"ogbench:{name}"), theirs[name], np.random.default_rng(0)
    scene: Any = world.make_scene(())
    state, lights = scene.sample_states(rng, 1)[0], len(CELLS[name].lights)
    begun = state[len(state) - lights :]
    for _ in range(30):
        action = onto(world, scene.observe(state), fixture, rng)
        control = scene.controls(state[None, : scene.physics_size], action[None].astype(float))[0]
        put(env, state)
        env.data.qacc_warmstart[:] = 0.0
        env.set_control = lambda _, control=control: np.copyto(env.data.ctrl, control)
        try:
            env.step(action)
        finally:
            del env.set_control
        state = scene.rollout(state[None], action[None, None])[0, 0]
        assert np.array_equal(state_of(env), state[1:])
        if button is not None and (state[-lights:] != begun).any():
            break
    if button is None:
        assert np.linalg.norm(scene.observe(state)[list(world.spec.fixture(fixture).handle)]) < 0.08
    else:
        changed = np.flatnonzero(state[-lights:] != begun).tolist()
        assert changed == sorted(CELLS[name].changed_by(button))


@pytest.mark.parametrize("name", CELLS)
def test_hand_and_handles_are_where_theirs_are(theirs: dict[str, Any], name: str) -> None:
    world, env = make(f"ogbench:{name}"), theirs[name]
    scene, spec = world.make_scene(()), world.spec
    for state in scene.sample_states(np.random.default_rng(2), 3):
        put(env, state)
        obs, seen = scene.observe(state), env.compute_ob_info()
        hand = obs[:3]
        assert hand == pytest.approx(seen["proprio/effector_pos"], abs=1e-6)
        yaw = np.arctan2(obs[spec.index("hand_axis_x_y")], obs[spec.index("hand_axis_x_x")])
        assert yaw == pytest.approx(seen["proprio/effector_yaw"][0], abs=1e-5)
        for fixture in spec.fixtures:
            there = hand + obs[list(fixture.handle)]
            site = {"drawer": "drawer_handle_center", "window": "window_handle_center"}.get(fixture.name)
            if site:
                assert there == pytest.approx(env.data.site(site).xpos, abs=1e-6)
                assert obs[fixture.position] == pytest.approx(
                    seen[f"privileged/{fixture.name}_pos"][0], abs=1e-6
                )
            if fixture.name == "cube_x":
                assert there == pytest.approx(seen["privileged/block_0_pos"], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "task"), [(name, k) for name in CELLS for k in range(5)], ids=lambda one: str(one)
)
def test_tasks_begin_and_end_where_theirs_do(theirs: dict[str, Any], name: str, task: int) -> None:
    """Success is `info['success']` of states near their goal, some of which are done and some are not."""
    world, env = make(f"ogbench:{name}"), theirs[name]
    scene, ours = world.make_scene(()), list(world.tasks.values())[task]
    env.reset(seed=task, options={"task_id": task + 1})
    assert ours.name == env.cur_task_info["task_name"]
    start, rng = state_of(env), np.random.default_rng(task)
    obs = scene.observe(fresh_states(scene, ours, rng, 4))
    begun = scene.observe(np.append(0.0, start))
    things = [f.position for f in world.spec.fixtures if "yaw" not in f.name]
    lights = [world.spec.index(one) for one in CELLS[name].lights]
    assert np.abs(obs[:, things] - begun[things]).max() <= 0.0201 and (obs[:, lights] == begun[lights]).all()
    assert not ours.success(torch.from_numpy(obs)).any()
    goals, told = _near_goal(env, scene, task, rng), []
    for state in goals:
        put(env, state)
        env.pre_step()
        env.post_step()
        told.append(bool(env._success))
    assert ours.success(torch.from_numpy(scene.observe(goals))).tolist() == told
    assert any(told) and not all(told)


def _near_goal(env: Any, scene: Simulator, task: int, rng: np.random.Generator) -> np.ndarray:
    """States around the goal of one of their tasks: everything within 5 cm of it, in a third one light wrong."""
    info = env.task_infos[task]
    goal = info.get("goal") or {k.removeprefix("goal_"): v for k, v in info.items()}
    states = scene.sample_states(rng, 36)
    model, cubes = env.model, goal.get("block_xyzs", goal.get("xyzs"))
    if cubes is not None:
        at = 1 + int(model.joint("object_joint_0").qposadr[0])
        states[:, at : at + 3] = cubes[0] + rng.uniform(-0.03, 0.03, (36, 3))
    for slide in ("drawer", "window"):
        if f"{slide}_pos" in goal:
            at = 1 + int(model.joint(f"{slide}_slide").qposadr[0])
            drawn = goal[f"{slide}_pos"] + rng.uniform(-0.05, 0.05, 36)
            states[:, at] = np.clip(drawn, *model.joint(f"{slide}_slide").range)
    if "button_states" in goal:
        lights = np.tile(goal["button_states"], (36, 1))
        lights[:12, 0] = 1 - lights[:12, 0]
        states[:, states.shape[1] - lights.shape[1] :] = lights
    return states


def test_bending_the_arm_agrees_with_their_inverse_kinematics(theirs: dict[str, Any]) -> None:
    world, env = make("ogbench:scene"), theirs["scene"]
    scene: Any = world.make_scene(())
    rng = np.random.default_rng(3)
    states, actions = scene.sample_states(rng, 20), rng.uniform(-1, 1, (20, 5))
    ours = scene.controls(states[:, : scene.physics_size], actions)
    for state, action, control in zip(states, actions, ours, strict=True):
        put(env, state)
        mujoco.mj_forward(env.model, env.data)
        env.set_control(action)
        assert env.data.ctrl == pytest.approx(control, abs=1e-6)
