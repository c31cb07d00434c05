"""Episodes for model-free learning begin and end as those of the evaluation do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from mbtransfer.errors import UserError
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.recipe.recipe import DEFAULT_HOLD
from tasks.registry import make
from tests.mbtransfer.transfer.point_world import CORNERS, SPEC, go, point_model

STILL = np.zeros(2, np.float32)


@pytest.fixture
def world() -> Environment:
    return point_model(rows=20).environment


@pytest.mark.filterwarnings("ignore:.*symmetric and normalized")
@pytest.mark.parametrize("contexts", [None, np.eye(4, dtype=np.float32)])
def test_it_passes_gymnasium_s_own_check(world: Environment, contexts: np.ndarray | None) -> None:
    check_env(TaskEpisodes(world, CORNERS, contexts), skip_render_check=True)


def test_the_kitchen_passes_it_too() -> None:
    kitchen = make("kitchen")
    tasks = [kitchen.task(name) for name in ("drawer_open", "tap_open")]
    check_env(TaskEpisodes(kitchen, tasks, np.eye(2, dtype=np.float32)), skip_render_check=True)


def test_an_episode_ends_with_the_time(world: Environment) -> None:
    env = TaskEpisodes(world, [go(0.9, 0.9)])
    env.reset(seed=0, options={"state": [0.0, -0.9, -0.9]})
    ends = [env.step(STILL)[2:4] for _ in range(SPEC.episode_steps)]
    assert ends == [(False, False)] * (SPEC.episode_steps - 1) + [(False, True)]


def test_an_episode_ends_once_success_has_held(world: Environment) -> None:
    env = TaskEpisodes(world, [go(0.5, 0.5)])
    env.reset(seed=0, options={"state": [0.0, 0.1, 0.5]})
    there, away = np.array([0.4, 0.0], np.float32), np.array([-0.4, 0.0], np.float32)
    ends = [env.step(push)[2:4] for push in (there, away, there, *[STILL] * (DEFAULT_HOLD - 1))]
    assert ends == [(False, False)] * (1 + DEFAULT_HOLD) + [(False, True)]
    env = TaskEpisodes(world, [go(0.5, 0.5)], until_success=False)
    env.reset(seed=0, options={"state": [0.0, 0.5, 0.5]})
    assert not any(env.step(STILL)[3] for _ in range(SPEC.episode_steps - 1)) and env.step(STILL)[3]


def test_reward_and_context_are_those_of_the_task_drawn(world: Environment) -> None:
    contexts = np.arange(8, dtype=np.float32).reshape(4, 2)
    env, seen = TaskEpisodes(world, CORNERS, contexts), set()
    env.reset(seed=0)
    for _ in range(40):
        obs, _ = env.reset()
        seen.add(env.number)
        assert np.array_equal(obs[2:], contexts[env.number])
        after, reward, *_ = env.step(np.array([0.1, 0.1], np.float32))
        place, push = torch.from_numpy(obs[:2]), torch.tensor([0.1, 0.1])
        expected = CORNERS[env.number].reward(place, push, torch.from_numpy(after[:2]))
        assert reward == pytest.approx(float(expected)) and np.array_equal(after[2:], contexts[env.number])
    assert seen == {0, 1, 2, 3}
    env.keep_task(True)
    kept = {env.number for _ in range(10) if env.reset()}
    assert len(kept) == 1


def test_a_lost_simulation_truncates(world: Environment) -> None:
    env = TaskEpisodes(world, [go(0.5, 0.5)])
    env.reset(seed=0, options={"state": [0.0, 6.0, 0.0]})
    obs, reward, terminated, truncated, report = env.step(STILL)
    assert (reward, terminated, truncated, report) == (0.0, False, True, {"success": False})
    assert np.isfinite(obs).all()


def test_wrong_use_is_one_line(world: Environment) -> None:
    with pytest.raises(UserError, match="at least one task"):
        TaskEpisodes(world, [])
    with pytest.raises(UserError, match="4 tasks need as many contexts, not 3"):
        TaskEpisodes(world, CORNERS, np.eye(3, dtype=np.float32))
    env = TaskEpisodes(world, CORNERS)
    env.reset(seed=0)
    with pytest.raises(TaskError, match="an action has shape"):
        env.step(np.zeros(3, np.float32))
    with pytest.raises(TaskError):
        env.step(np.full(2, np.nan, np.float32))
