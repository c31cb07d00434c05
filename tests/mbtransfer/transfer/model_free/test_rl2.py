"""A recurrent policy acts in the evaluation as in its trials, and remembers what it has practised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from mbtransfer.errors import UserError
from mbtransfer.evaluation.episodes import play_episodes, starts_of
from mbtransfer.transfer.method import Sources, controller_of
from mbtransfer.transfer.model_free.recurrent_agent import Memory, RecurrentController, respond
from mbtransfer.transfer.model_free.rl2 import RL2, Learner, RecurrentPPOConfig
from mbtransfer.transfer.model_free.task_episodes import TaskEpisodes
from mbtransfer.transfer.model_free.trials import Trials
from tests.mbtransfer.transfer.point_world import CORNERS, SPEC, go, point_model

TARGET = go(0.3, 0.9, "held_out")
"""At the wall to which an untrained policy drifts: some episodes succeed at once."""
TINY = RL2(steps=1, training=RecurrentPPOConfig(copies=2, trials=1, epochs=1, hidden=8, width=8))
PUSH = np.array([0.5, -1.0], np.float32)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(point_model(rows=50), CORNERS, 50, 0)


@pytest.fixture(scope="module")
def learner(sources: Sources) -> Learner:
    pytest.importorskip("sb3_contrib", reason="needs the extra transfer")
    return TINY.pretrain(sources)


def trials(sources: Sources, length: int) -> Trials:
    return Trials(TaskEpisodes(sources.model.environment, CORNERS, until_success=False), length)


@pytest.mark.filterwarnings("ignore:.*infinity")  # rewards have no known range
def test_trials_pass_gymnasium_s_own_check(sources: Sources) -> None:
    check_env(trials(sources, 2), skip_render_check=True)


def test_a_trial_is_some_episodes_of_one_task(sources: Sources) -> None:
    env, size = trials(sources, 3), SPEC.episode_steps
    first, _ = env.reset(seed=1)
    assert first[2:].tolist() == [0.0] * 4
    inner, shown, ends = env._episodes, [], []
    task = inner.number
    for _ in range(3 * size):
        seen, reward, terminated, truncated, _ = env.step(np.zeros(2, np.float32) if shown else PUSH)
        assert inner.number == task and seen[4] == pytest.approx(reward)
        shown.append(seen)
        ends.append((terminated, truncated))
    assert np.allclose(shown[0][2:4], PUSH), "its own action, from -1 to 1"
    begun = [k + 1 for k, seen in enumerate(shown) if seen[5]]
    assert begun == [size, 2 * size] and env.steps == 3 * size
    assert all(end == (False, False) for end in ends[:-1]) and ends[-1] == (False, True)


def test_actions_reach_the_ends_of_the_box(sources: Sources) -> None:
    env = trials(sources, 1)
    before, _ = env.reset(options={"state": [0.0, 0.0, 0.0]}, seed=0)
    after, *_ = env.step(np.array([1.0, -9.0], np.float32))
    low, high = SPEC.action[1].low, SPEC.action[0].high
    assert np.allclose(after[:2] - before[:2], [high, low]) and after[3] == -1.0


@pytest.mark.parametrize("practice", [0, 2])
def test_it_acts_as_in_its_trials(learner: Learner, practice: int) -> None:
    carried = replace(learner, sources=replace(learner.sources, practice=practice))
    weights = [x.clone() for x in carried.policy.parameters()]
    solution = TINY.solve(carried, TARGET)
    assert isinstance(solution.acts, RecurrentController)
    controller = controller_of(solution, carried.sources.model)
    played = play_episodes(controller, TARGET, 0, 12)
    assert len({len(one.states) for one in played}) > 1, "some end before others, and their memory with them"
    policy = carried.policy
    for state, record in zip(starts_of(controller, TARGET, 0, 12), played, strict=True):
        env, memory = Trials(TaskEpisodes(controller.environment, [TARGET]), 1), solution.acts.memory
        seen, _ = env.reset(options={"state": state})
        for after in record.states[1:]:
            obs = torch.from_numpy(seen[None, :2])
            action, memory = respond(policy, obs, memory, deterministic=True)
            seen, *_ = env.step(action[0].numpy())
            memory = Memory(memory.hidden, memory.cell, torch.from_numpy(seen[None, 2:]))
            np.testing.assert_allclose(seen[:2], after[1:], atol=1e-5)
    steps = solution.costs.steps - carried.steps
    assert steps == practice * SPEC.episode_steps
    last = solution.acts.memory.last[0]
    assert float(last[-1]) == float(practice > 0)
    assert bool(solution.acts.memory.hidden.any()) == (practice > 0)
    assert all(map(torch.equal, weights, carried.policy.parameters())), "nothing is trained in a target"


def test_the_same_seed_gives_the_same(learner: Learner) -> None:
    def practised(carried: Learner) -> torch.Tensor:
        acts = TINY.solve(carried, TARGET).acts
        assert isinstance(acts, RecurrentController)
        return acts.memory.hidden

    with_practice = replace(learner, sources=replace(learner.sources, practice=1))
    again = TINY.pretrain(replace(learner.sources, practice=1))
    assert torch.equal(practised(with_practice), practised(again))


def test_it_needs_source_tasks(sources: Sources) -> None:
    pytest.importorskip("sb3_contrib", reason="needs the extra transfer")
    with pytest.raises(UserError, match="at least one source task"):
        RL2().pretrain(replace(sources, tasks=()))
    with pytest.raises(UserError, match="at least one episode, not 0"):
        trials(sources, 0)
