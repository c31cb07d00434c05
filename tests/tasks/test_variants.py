"""Variants change the dynamics as the equations of motion say, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.registry import make
from tasks.simulator import Simulator
from tasks.variant_file import VariantFile
from tasks.variants import DynamicsVariant


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    return make("dm_control:cartpole")


def plans(environment: Environment, n: int, steps: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).uniform(-1, 1, (n, steps, environment.spec.action_size))
    return drawn.astype(np.float32)


def acceleration(scene: Simulator, positions: list[float], control: float) -> np.ndarray:
    """At rest, without friction in the joints."""
    model = scene.model
    model.dof_damping[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:] = positions, control
    mujoco.mj_forward(model, data)
    return np.array(data.qacc)


CHANGED = [
    # mass, gear
    ({"mass": 2.0}, 2.0, 1.0),
    ({"gear": 0.5}, 1.0, 0.5),
    ({"gear": {"slide": -3.0}}, 1.0, -3.0),
    ({"mass": {"cart": 3.0, "pole_1": 3.0}, "gear": {"slide": 0.5}}, 3.0, 0.5),
]


@pytest.mark.parametrize(("changes", "mass", "gear"), CHANGED, ids=["heavy", "weak", "inverted", "both"])
def test_the_cart_accelerates_as_the_equations_of_motion_say(
    cartpole: Environment, changes: dict[str, Any], mass: float, gear: float
) -> None:
    plain = cartpole.make_scene(()).model
    cart, pole = plain.body("cart"), plain.body("pole_1")
    arm, turning = pole.ipos[2], pole.inertia[pole.inertia.argmax()]
    scene = DynamicsVariant("changed", **changes).of(cartpole).make_scene(())
    for angle, control in ((0.0, 0.7), (0.4, 0.0), (0.4, -0.3), (np.pi, 1.0)):
        force = gear * plain.actuator("slide").gear[0] * control
        # Lagrange's equations of a cart and a rigid pole at rest, angle 0 upright, with every mass `mass` times.
        matrix = mass * np.array(
            [
                [cart.mass[0] + pole.mass[0], pole.mass[0] * arm * np.cos(angle)],
                [pole.mass[0] * arm * np.cos(angle), turning + pole.mass[0] * arm**2],
            ]
        )
        weight = mass * pole.mass[0] * 9.81 * arm * np.sin(angle)
        expected = np.linalg.solve(matrix, [force, weight])
        np.testing.assert_allclose(acceleration(scene, [0.0, angle], control), expected, rtol=1e-4, atol=1e-6)


def test_a_variant_without_changes_is_the_environment_bit_for_bit(cartpole: Environment) -> None:
    same = DynamicsVariant("same", mass=1.0, friction={"cart": 1.0}, damping=1.0, gear=1.0, delay=0).of(
        cartpole
    )
    assert same.spec == dataclasses.replace(cartpole.spec, name="dm_control:cartpole/same")
    assert all(same.tasks[name] is task for name, task in cartpole.tasks.items())
    one, other = cartpole.make_scene(()), same.make_scene(())
    for name in (
        "body_mass",
        "body_inertia",
        "geom_friction",
        "dof_damping",
        "dof_invweight0",
        "actuator_gear",
    ):
        assert np.array_equal(getattr(one.model, name), getattr(other.model, name))
    states = one.sample_states(np.random.default_rng(0), 3)
    assert np.array_equal(other.sample_states(np.random.default_rng(0), 3), states)
    assert np.array_equal(other.rollout(states, plans(same, 3, 20)), one.rollout(states, plans(same, 3, 20)))


def test_a_variant_leaves_the_environment_and_its_scenes_as_they_are(cartpole: Environment) -> None:
    before = cartpole.make_scene(())
    states, actions = before.sample_states(np.random.default_rng(0), 2), plans(cartpole, 2, 10)
    path = before.rollout(states, actions)
    heavy = DynamicsVariant("heavy", mass=2.0).of(cartpole).make_scene(())
    assert not np.array_equal(heavy.rollout(states, actions), path)
    for scene in (before, cartpole.make_scene(())):
        assert np.array_equal(scene.rollout(states, actions), path)


@pytest.mark.parametrize("delay", [1, 3])
def test_a_delay_moves_the_response_by_exactly_so_many_control_steps(
    cartpole: Environment, delay: int
) -> None:
    plain, late = cartpole.make_scene(()), DynamicsVariant("late", delay=delay).of(cartpole).make_scene(())
    start, actions = late.sample_states(np.random.default_rng(1), 2), plans(cartpole, 2, 12)
    size = plain.state_size
    path = late.rollout(start, actions)
    idle = np.zeros((2, delay, 1), np.float32)
    expected = plain.rollout(start[:, :size], np.concatenate([idle, actions], axis=1)[:, :12])
    assert np.array_equal(path[:, :, :size], expected)
    # What has been steered is felt `delay` steps later: from there on, the same motion.
    after = plain.rollout(expected[:, delay - 1], actions[:, : 12 - delay])
    assert np.array_equal(path[:, delay:, :size], after)


@pytest.mark.parametrize("changes", [{"mass": 1.5}, {"delay": 2, "gear": 0.5}], ids=["heavy", "late"])
def test_recorded_states_roll_out_again_bit_for_bit(cartpole: Environment, changes: dict[str, Any]) -> None:
    scene = DynamicsVariant("changed", **changes).of(cartpole).make_scene(())
    start, actions = scene.sample_states(np.random.default_rng(2), 3), plans(cartpole, 3, 15)
    path = scene.rollout(start, actions)
    assert np.array_equal(scene.rollout(path[:, 6].copy(), actions[:, 7:]), path[:, 7:])
    scene.set_state(start[1])
    for action, state in zip(actions[1], path[1], strict=True):
        obs = scene.step(action)
        assert np.array_equal(scene.get_state(), state) and np.array_equal(obs, scene.observe(state))


def test_tasks_judge_a_late_transition_by_the_action_that_takes_effect(cartpole: Environment) -> None:
    late = DynamicsVariant("late", delay=1).of(cartpole)
    scene, plain = late.make_scene(()), cartpole.make_scene(())
    start, actions = scene.sample_states(np.random.default_rng(3), 4), plans(late, 4, 2)
    path, size = scene.rollout(start, actions), plain.state_size
    obs, after = (scene.observe_privileged(states, with_state=True) for states in (path[:, 0], path[:, 1]))
    was, then = (plain.observe_privileged(path[:, t, :size], with_state=True) for t in (0, 1))
    first, second = (torch.from_numpy(actions[:, t]) for t in (0, 1))
    task, same = late.task("balance"), cartpole.task("balance")  # rewards small controls
    assert torch.equal(task.reward(obs, second, after), same.reward(was, first, then))
    assert not torch.equal(task.reward(obs, second, after), same.reward(was, second, then))
    assert torch.equal(task.success(obs), same.success(was))


def test_a_locked_joint_stays(cartpole: Environment) -> None:
    scene = DynamicsVariant("blocked", lock=("slider",)).of(cartpole).make_scene(())
    start = scene.sample_states(np.random.default_rng(0), 2)
    start[:, 3:] = 0.0
    path = scene.rollout(start, np.ones((2, 25, 1), np.float32))
    free = cartpole.make_scene(()).rollout(start, np.ones((2, 25, 1), np.float32))
    assert (
        np.abs(path[:, -1, 1] - start[:, 1]).max() < 1e-3 < 0.1 < np.abs(free[:, -1, 1] - start[:, 1]).min()
    )


def test_a_locked_fixture_is_locked_as_the_scene_does_it(kitchen: Environment) -> None:
    blocked = DynamicsVariant("blocked", lock=("drawer",)).of(kitchen)
    one, other = blocked.make_scene(("tap",)), kitchen.make_scene(("tap", "drawer"))
    states = one.sample_states(np.random.default_rng(0), 3)
    assert np.array_equal(states, other.sample_states(np.random.default_rng(0), 3))
    assert np.array_equal(
        one.rollout(states, plans(kitchen, 3, 8)), other.rollout(states, plans(kitchen, 3, 8))
    )


def test_friction_and_damping_change_what_is_named(kitchen: Environment) -> None:
    plain = kitchen.make_scene(()).model
    body = next(plain.body(i) for i in range(1, plain.nbody) if plain.body(i).geomnum[0])
    slow = (
        DynamicsVariant("slow", friction={body.name: 0.25}, damping={"drawer": 4.0})
        .of(kitchen)
        .make_scene(())
        .model
    )
    mine = np.array([plain.geom_bodyid[i] == body.id for i in range(plain.ngeom)])
    assert np.array_equal(slow.geom_friction[mine], 0.25 * plain.geom_friction[mine])
    assert np.array_equal(slow.geom_friction[~mine], plain.geom_friction[~mine])
    dof = plain.joint("drawer").dofadr[0]
    others = np.arange(plain.nv) != dof
    assert slow.dof_damping[dof] == 4 * plain.dof_damping[dof]
    assert np.array_equal(slow.dof_damping[others], plain.dof_damping[others])


def test_a_gymnasium_environment_is_that_environment_with_a_changed_model() -> None:
    base = make("gym:InvertedPendulum-v5")
    late_and_heavy = DynamicsVariant("heavy", mass=2.0, gear=0.5, delay=1).of(base)
    scene = late_and_heavy.make_scene(())
    start, actions = scene.sample_states(np.random.default_rng(0), 1), plans(base, 1, 4)
    path = scene.rollout(start, actions)
    env = gymnasium.make("InvertedPendulum-v5").unwrapped
    env.reset(seed=0)
    model, data = env.model, env.data  # type: ignore[attr-defined]
    model.body_mass[:] *= 2
    model.body_inertia[:] *= 2
    model.actuator_gear[:] *= 0.5
    mujoco.mj_setConst(model, mujoco.MjData(model))
    full = mujoco.mjtState.mjSTATE_FULLPHYSICS
    mujoco.mj_setState(model, data, start[0, : mujoco.mj_stateSize(model, full)], full)
    for t, action in enumerate([np.zeros(1, np.float32), *actions[0, :3]]):
        data.qacc_warmstart[:] = 0.0
        obs, reward, *_ = env.step(action)
        np.testing.assert_allclose(scene.observe(path[0, t]), obs, atol=1e-6)
    seen = scene.observe_privileged(path, with_state=True)
    judged = late_and_heavy.task("native").reward(seen[:, 2], torch.from_numpy(actions[:, 3]), seen[:, 3])
    assert float(judged[0]) == pytest.approx(float(reward))


MISTAKES = [
    ({"mass": 0.0}, "variant 'bad': mass: a factor should be a number from 0.001 to 1000, not 0.0"),
    ({"gear": float("nan")}, "variant 'bad': gear: a factor should be"),
    ({"delay": -1}, "variant 'bad': delay: should be a whole number of control steps from 0 to 100, not -1"),
    ({"delay": True}, "variant 'bad': delay: should be a whole number"),
    ({"mass": {"cart": -1.0}}, "variant 'bad': cart: a factor should be"),
    (
        {"mass": {"crat": 2.0}},
        "dm_control:cartpole: variant 'bad': mass: no body 'crat'; did you mean 'cart'?",
    ),
    ({"gear": {"slid": 2.0}}, "gear: no actuator 'slid'; did you mean 'slide'?"),
    ({"damping": {"hinge": 2.0}}, "damping: no joint 'hinge'; did you mean 'hinge_1'?"),
    ({"lock": ("slidr",)}, "lock: no fixture or joint 'slidr'; did you mean 'slider'?"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES, ids=[str(i) for i in range(len(MISTAKES))])
def test_a_mistake_in_python_is_one_line(cartpole: Environment, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError) as problem:
        DynamicsVariant("bad", **changes).of(cartpole)
    assert said in str(problem.value) and "\n" not in str(problem.value)


def test_a_variant_has_no_variants(cartpole: Environment) -> None:
    heavy = DynamicsVariant("heavy", mass=2.0).of(cartpole)
    with pytest.raises(TaskError, match="is a variant itself; put all changes into one"):
        DynamicsVariant("late", delay=1).of(heavy)


HEAD = "env: dm_control:cartpole\nvariants:\n"
WRONG_FILES = [
    ("", ":1:1: the file of variants is empty; it needs 'env' and 'variants'"),
    ("- a\n", ":1:1: must be 'key: value' lines, not a list of 1; keys: env, variants"),
    ("env: dm_control:cartpole\n", ":1:1: the file has no 'variants'"),
    ("variants:\n  a: {mass: 2}\n", ":1:1: the file has no 'env'"),
    ("environment: x\n" + HEAD + "  a: {}\n", ":1:1: no key 'environment'; there are env, variants"),
    ("env: dm_control:cartpol\nvariants:\n  a: {mass: 2}\n", ":1:1: dm_control: no domain 'cartpol'"),
    ("env: dm_control:cartpole\nvariants:\n", ":2:1: variants should be a valid dictionary, not nothing"),
    (HEAD + "  a: 2\n", ":3:3: must be 'key: value' lines, not '2'; keys: mass, friction"),
    (HEAD + "  a:\n    mas: 2\n", ":4:5: no key 'mas'; did you mean 'mass'?"),
    (
        HEAD + "  a:\n    mass: heavy\n",
        ":4:5: mass: a factor should be a number from 0.001 to 1000, not 'heavy'",
    ),
    (
        HEAD + "  a:\n    mass: '2'\n",
        ":4:5: mass: a factor should be a number from 0.001 to 1000, not the text in",
    ),
    (HEAD + "  a:\n    mass:\n      cart: .nan\n", ":5:7: cart: a factor should be"),
    (HEAD + "  a:\n    mass:\n      crat: 2\n", ":5:7: mass: no body 'crat'; did you mean 'cart'?"),
    (HEAD + "  a:\n    mass: {}\n", ":4:5: mass: name at least one"),
    (HEAD + "  a:\n    delay: 1.5\n", ":4:5: delay: should be a whole number of control steps"),
    (HEAD + "  a:\n    lock: [slider, slider]\n", ":4:20: lock: 'slider' twice; keep one"),
    (
        HEAD + "  a:\n    lock:\n    - slidr\n",
        ":5:7: lock: no fixture or joint 'slidr'; did you mean 'slider'?",
    ),
    (HEAD + "  a: {mass: 2}\n  a: {mass: 3}\n", ":4:3: key 'a' twice (first on line 3); keep one"),
    (HEAD + "  b: {mass: 2}\n", ":2:1: no variant 'a'; there are b"),
    (
        "env: gym:Pendulum-v1\nvariants:\n  a: {mass: 2}\n",
        ":3:3: only a MuJoCo simulation that can be set",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG_FILES, ids=[str(i) for i in range(len(WRONG_FILES))])
def test_a_mistake_in_a_file_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TaskError) as problem:
        make(f"variant:{path}:a")
    assert str(problem.value).startswith(f"{path}{said}") and "\n" not in str(problem.value)


@pytest.mark.parametrize("name", ["", "a", "a.yaml:", ":a"])
def test_a_name_needs_a_file_and_a_variant(name: str) -> None:
    with pytest.raises(TaskError, match=r"needs a file and a variant in it, as in variant:mine.yaml:heavy"):
        make(f"variant:{name}")


def test_a_file_of_variants_is_read_and_known_by_name(tmp_path: Path, cartpole: Environment) -> None:
    path = tmp_path / "mine.yaml"
    body = (
        "  heavy: {mass: 2}\n  weak and late:\n    gear: {slide: 5e-1}\n    delay: 1\n    lock: [hinge_1]\n"
    )
    path.write_text(HEAD + body, encoding="utf-8")
    file = VariantFile(path)
    assert file.variant("weak and late") == DynamicsVariant(
        "weak and late", gear={"slide": 0.5}, delay=1, lock=("hinge_1",)
    )
    assert (file.env, file.names) == ("dm_control:cartpole", ["heavy", "weak and late"])
    made = make(f"variant:{path}:heavy")
    assert made.spec.name == f"variant:{path}:heavy" and made.tasks.keys() == cartpole.tasks.keys()
    by_hand = DynamicsVariant("heavy", mass=2.0).of(cartpole).make_scene(())
    states = by_hand.sample_states(np.random.default_rng(0), 2)
    path_by_hand = by_hand.rollout(states, plans(made, 2, 5))
    assert np.array_equal(made.make_scene(()).rollout(states, plans(made, 2, 5)), path_by_hand)
