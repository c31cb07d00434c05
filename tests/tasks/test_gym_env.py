from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from tasks import KITCHEN_ID
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.gym_env import TaskEnv
from tasks.render import RenderUnavailable, backend
from tasks.task import Task


def test_it_passes_gymnasium_s_own_check() -> None:
    env = gymnasium.make(KITCHEN_ID, task="drawer_open")
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_it_passes_gymnasium_s_check_of_rendering() -> None:
    try:
        backend()
    except RenderUnavailable as error:
        pytest.skip(str(error))
    env = gymnasium.make(KITCHEN_ID, task="light_on", render_mode="rgb_array", width=64, height=48)
    check_env(env.unwrapped)
    env.reset(seed=0)
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert (picture.shape, picture.dtype) == ((48, 64, 3), np.uint8)
    env.close()
    env.close()


def test_without_a_render_mode_there_is_no_picture() -> None:
    env = TaskEnv()
    env.reset(seed=0)
    assert env.render() is None


def test_the_same_seed_gives_the_same_episode() -> None:
    runs = []
    for _ in range(2):
        env = gymnasium.make(KITCHEN_ID, task="tap_open")
        env.action_space.seed(3)
        obs, _ = env.reset(seed=7)
        run = [obs]
        for _ in range(10):
            obs, reward, *_ = env.step(env.action_space.sample())
            run += [obs, np.float32(reward)]
        runs.append(np.concatenate([np.ravel(x) for x in run]))
    assert np.array_equal(*runs)


def test_episodes_end_after_the_usual_steps_and_not_before(kitchen: Environment) -> None:
    env = gymnasium.make(KITCHEN_ID, task="drawer_close")
    env.reset(seed=0)
    ends = [env.step(np.zeros(4, np.float32))[2:4] for _ in range(kitchen.spec.episode_steps)]
    assert ends[-1] == (False, True)
    assert set(ends[:-1]) == {(False, False)}


def test_reward_and_success_are_the_task_s(kitchen: Environment) -> None:
    task = kitchen.move("drawer", 0.1)
    env = gymnasium.make(KITCHEN_ID, task=task)
    before, report = env.reset(seed=0, options={"fixtures": {"drawer": 0.1}})
    assert report == {"success": True}
    action = env.action_space.sample()
    after, reward, *_ = env.step(action)
    expected = task.reward(*map(torch.from_numpy, (before, action, after)))
    assert reward == pytest.approx(float(expected))


@pytest.mark.parametrize("name", ["kettle_back_left", "slide_cabinet_half"])
def test_a_start_leaves_the_task_undone(kitchen: Environment, name: str) -> None:
    env = TaskEnv(task=name)
    for seed in range(5):
        obs, report = env.reset(seed=seed)
        assert report == {"success": False}
        assert bool(kitchen.task(name).is_valid_start(torch.from_numpy(obs)))


def test_a_stored_state_can_be_gone_back_to() -> None:
    env = TaskEnv(task="light_on")
    env.reset(seed=0)
    first = [env.step(np.full(4, 0.3, np.float32))[0] for _ in range(4)]
    env.reset(seed=0)
    state = env.scene.get_state()
    env.reset(options={"state": state})
    assert np.array_equal([env.step(np.full(4, 0.3, np.float32))[0] for _ in range(4)], first)


def test_what_it_returns_is_the_caller_s_to_change() -> None:
    env = TaskEnv()
    obs, _ = env.reset(seed=0)
    obs[:] = 99.0
    assert env.step(np.zeros(4, np.float32))[0].max() < 99.0


class Done(Task):
    def reward(self, obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
        return obs[..., 0]

    def success(self, obs: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(obs[..., 0], dtype=torch.bool)


def test_wrong_use_is_one_line() -> None:
    env = TaskEnv()
    cases = [
        (lambda: gymnasium.make(KITCHEN_ID, task="drawr_open"), "did you mean 'drawer_open'"),
        (lambda: TaskEnv(environment="kitchn"), "did you mean 'kitchen'"),
        (lambda: TaskEnv(render_mode="human"), "no render mode 'human'"),
        (lambda: env.step(np.zeros(3, np.float32)), r"an action has shape \(4,\), not \(3,\)"),
        (lambda: env.step(np.full(4, np.nan, np.float32)), "not finite"),
        (lambda: env.reset(options={"fixture": {}}), "no option 'fixture'"),
        (lambda: env.reset(options={"fixtures": {"drawr": 0.1}}), "did you mean 'drawer'"),
        (lambda: env.reset(options={"state": [0.0]}), "a state is 27 finite numbers"),
        (lambda: TaskEnv(task=Done("done", "", "user")).reset(seed=0), "is its success always true"),
    ]
    for call, part in cases:
        with pytest.raises(TaskError, match=part) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_several_at_once() -> None:
    envs = gymnasium.make_vec(KITCHEN_ID, num_envs=2, task="microwave_open")
    obs, _ = envs.reset(seed=0)
    assert obs.shape == (2, 53)
    assert not np.array_equal(obs[0], obs[1])
    envs.step(envs.action_space.sample())
    envs.close()
