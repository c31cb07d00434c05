from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from tasks.errors import TaskError
from tasks.gymnasium_env import step_only_scene as live_scene
from tasks.gymnasium_env.step_only_scene import StepOnlySimulator
from tasks.registry import make

EXAMPLES = Path(__file__).parent / "gym_examples.py"


def live(name: str) -> StepOnlySimulator:
    scene = make(f"gym:{name}").make_scene(())
    assert isinstance(scene, StepOnlySimulator)
    return scene


def test_steps_side_by_side_are_those_of_gymnasium() -> None:
    world, rng = make("gym:Pendulum-v1"), np.random.default_rng(0)
    scene, actions = world.make_scene(()), rng.uniform(-2, 2, (3, 12, 1)).astype(np.float32)
    states = [scene.sample_states(np.random.default_rng(5), 3)]
    for t in range(12):
        states.append(scene.rollout(states[-1], actions[:, t : t + 1])[:, 0])
    path = np.stack(states, axis=1)
    shown = torch.from_numpy(np.concatenate([scene.observe(path).astype(np.float64), path], axis=-1))
    given = world.task("native").reward(shown[:, :-1], torch.from_numpy(actions), shown[:, 1:])
    for b, seed in enumerate(np.random.default_rng(5).integers(2**31, size=3).tolist()):
        env = gymnasium.make("Pendulum-v1")
        np.testing.assert_array_equal(env.reset(seed=seed)[0], scene.observe(path[b, 0]))
        for t in range(12):
            obs, reward, *_ = env.step(actions[b, t])
            np.testing.assert_array_equal(obs, scene.observe(path[b, t + 1]))
            assert np.float32(reward) == given[b, t].numpy()


def test_several_steps_at_once_are_the_same_steps() -> None:
    scene, actions = live("Pendulum-v1"), np.ones((2, 4, 1), np.float32)
    states = scene.sample_states(np.random.default_rng(0), 2)
    at_once = scene.rollout(states, actions)
    scene.set_state(states[0])  # a start is good at any time: its copy begins anew
    for t in range(4):
        np.testing.assert_array_equal(scene.step(actions[0, t]), scene.observe(at_once[0, t]))
    np.testing.assert_array_equal(scene.get_state(), at_once[0, -1])


@pytest.mark.parametrize("case", ["branches", "older", "foreign"])
def test_what_needs_setting_is_refused_in_one_line(case: str) -> None:
    scene, push = live("Pendulum-v1"), np.ones((1, 1, 1), np.float32)
    start = scene.sample_states(np.random.default_rng(0), 1)
    first = scene.rollout(start, push)[:, 0]
    if case == "branches":
        states = np.repeat(first, 2, axis=0)
    elif case == "older":
        scene.rollout(first, push)
        states = first
    else:
        states, scene = first, live("Pendulum-v1")
    line = (
        r"^gym:Pendulum-v1 cannot be set to a state, only stepped on from where it is; "
        r"plan with a learned model instead of the oracle$"
    )
    with pytest.raises(TaskError, match=line):
        scene.rollout(states, np.repeat(push, len(states), axis=0))


def test_batches_take_turns_and_copies_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_scene, "KEPT", 8)
    scene, rng = live("Pendulum-v1"), np.random.default_rng(0)
    one, other = scene.sample_states(rng, 4), scene.sample_states(rng, 4)
    for _ in range(3):
        one, other = (scene.rollout(batch, np.ones((4, 1, 1), np.float32))[:, 0] for batch in (one, other))
    scene.rollout(scene.sample_states(rng, 20), np.ones((20, 1, 1), np.float32))
    assert len(scene._running) <= 40
    for _ in range(5):
        scene.rollout(scene.sample_states(rng, 4), np.ones((4, 1, 1), np.float32))
    assert len(scene._running) == 8
    with pytest.raises(TaskError, match="cannot be set to a state"):
        scene.rollout(one, np.ones((4, 1, 1), np.float32))


def test_an_episode_that_has_terminated_goes_no_further() -> None:
    scene = live(f"{EXAMPLES}:Walk")
    states = scene.sample_states(np.random.default_rng(0), 2)
    pushes = np.stack([np.ones((10, 1)), np.zeros((10, 1))]).astype(np.float32)
    path = scene.rollout(states, pushes)
    sound = np.isfinite(path).all(axis=2)
    over = int(sound[0].sum())
    assert 2 <= over <= 7 and sound[1].all() and not sound[0, over:].any()
    obs = scene.observe(path[0])
    assert (obs[over - 1] == obs[over:]).all() and obs[over - 1, 0] > 1
    scene.set_state(states[0])
    with pytest.raises(TaskError, match=r"Walk: the episode has terminated; begin another one$"):
        for _ in range(10):
            scene.step(pushes[0, 0])


def test_arguments_reach_the_class() -> None:
    scene = live(f"{EXAMPLES}:Walk,speed=0.125")
    states = scene.sample_states(np.random.default_rng(0), 1)
    after = scene.rollout(states, np.ones((1, 1, 1), np.float32))[:, 0]
    assert np.isclose(scene.observe(after)[0, 0] - scene.observe(states)[0, 0], 0.125)


def test_dictionaries_and_shaped_actions_are_made_flat() -> None:
    world = make(f"gym:{EXAMPLES}:Parts")
    scene = world.make_scene(())
    after = scene.rollout(scene.sample_states(np.random.default_rng(0), 2), np.ones((2, 1, 1), np.float32))
    assert scene.observe(after).shape == (2, 1, 2)
    assert (world.spec.observation[0].low, world.spec.observation[0].high) == (-5.0, 5.0)


def test_usual_ranges_are_the_space_s_or_those_of_a_trial() -> None:
    spec = make("gym:Pendulum-v1").spec
    assert [(v.name, v.low, v.high) for v in spec.observation][2] == ("angular_velocity", -8.0, 8.0)
    assert (spec.action[0].low, spec.action[0].high, spec.episode_steps) == (-2.0, 2.0, 200)
    tried = make(f"gym:{EXAMPLES}:Walk").spec
    assert tried == make.__wrapped__(f"gym:{EXAMPLES}:Walk").spec
    assert (tried.control_dt, tried.episode_steps) == (1.0, 1000)
    assert all(
        len(f"{abs(end):g}".strip("0.")) == 1 for v in tried.observation for end in (v.low, v.high) if end
    )


@pytest.mark.parametrize(
    ("name", "columns", "steps"), [("Named", ["place", "clock"], 70), ("Grid", ["obs_0", "obs_1"], 1000)]
)
def test_an_environment_names_its_columns_and_its_length(name: str, columns: list[str], steps: int) -> None:
    spec = make(f"gym:{EXAMPLES}:{name}").spec
    assert ([column.name for column in spec.observation], spec.episode_steps) == (columns, steps)


def test_a_start_that_no_seed_decides_is_refused() -> None:
    scene = live(f"{EXAMPLES}:Forgetful")
    with pytest.raises(TaskError, match="reset with the same seed gives another start each time"):
        scene.rollout(scene.sample_states(np.random.default_rng(0), 1), np.ones((1, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", r"^gym: needs an environment, as in gym:Pendulum-v1 or gym:my_env.py:MyEnv$"),
        ("Pendulm-v1", r"^gym:Pendulm-v1: Gymnasium has no environment 'Pendulm-v1'; did you mean 'Pendulum-v1'\?$"),
        ("Qqqq-v1", r"no environment 'Qqqq-v1'; gymnasium.pprint_registry\(\) lists those there are$"),
        ("CartPole-v1", r"its actions are Discrete\(2\); planning needs numbers within bounds, a Box$"),
        ("no_such_module:X-v0", r"^gym:no_such_module:X-v0: ModuleNotFoundError: No module named 'no_such_module'$"),
        ("Pendulum-v1,gravity", r"^gym:Pendulum-v1,gravity: an argument is written NAME=VALUE, not 'gravity'$"),
        ("Pendulum-v1,mass=2", r"^gym:Pendulum-v1,mass=2: TypeError: .*unexpected keyword argument 'mass'"),
        ("no_such.py:Walk", r"^gym:no_such.py:Walk: there is no file no_such.py$"),
        ("no_such.py", r"^gym:no_such.py: say which class or function of the file, as in gym:no_such.py:MyEnv$"),
        (f"{EXAMPLES}:Wak", r"gym_examples.py has no class or function Wak$"),
        (f"{EXAMPLES}:number", r"number made no gymnasium.Env but int$"),
        (f"{EXAMPLES}:Broken", r"Broken: RuntimeError: no robot here$"),
        (f"{EXAMPLES}:Pictures", r"observations of 12288 numbers are pictures; planning needs at most 2000$"),
        (f"{EXAMPLES}:Unbounded", r"planning needs finite bounds of real numbers, as gymnasium.wrappers.RescaleAction"),
        (f"{EXAMPLES}:Token", r"its observations are Discrete\(3\); a Box, or a Dict of boxes, is needed$"),
        (f"{EXAMPLES}:Misnamed", r"`columns` must be 2 different words, one per number observed, not \('place',\)$"),
    ],
    ids=["nothing", "typo", "unknown", "discrete", "module", "option", "argument", "file", "class", "attribute",
         "factory", "raises", "pictures", "unbounded", "token", "misnamed"],
)  # fmt: skip
def test_what_cannot_be_had_is_one_line(name: str, line: str) -> None:
    with pytest.raises(TaskError, match=line) as caught:
        make(f"gym:{name}")
    assert "\n" not in str(caught.value)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise gymnasium.error.DependencyNotInstalled(
            'Box2D is not installed, run `pip install "gymnasium[box2d]"`'
        )

    monkeypatch.setattr(gymnasium, "make", lacking)
    with pytest.raises(TaskError, match=r"^gym:Pendulum-v1: Box2D is not installed, run `pip install .*`$"):
        make.__wrapped__("gym:Pendulum-v1")


def test_a_file_that_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"bad.py raised ZeroDivisionError: division by zero$"):
        make(f"gym:{tmp_path / 'bad.py'}:Env")
