"""Tasks and recipes played to their end, and the rows that come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mbtransfer.evaluation import evaluate_recipes, evaluate_tasks, play_episodes
from mbtransfer.evaluation.episodes import task_starts
from mbtransfer.evaluation.monitors import TaskScript
from mbtransfer.evaluation.results import EpisodeResult
from mbtransfer.evaluation.rollout import StepInfo
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import Pairs, TrueRewards
from tasks.privileged_task import PhysicsTask
from tasks.recipe import parse_recipe
from tests.mbtransfer.evaluation.tiny import KITCHEN, TWO_STEPS


def timeless(rows: list[EpisodeResult]) -> list[EpisodeResult]:
    """Rows without the time that decisions took."""
    return [replace(row, plan_ms=0.0) for row in rows]


def test_an_easy_task_is_solved_and_its_rows_say_so(controller: Controller) -> None:
    rows = evaluate_tasks(controller, [KITCHEN.task("light_on")], episodes=2, seeds=(0,))
    assert [row.episode for row in rows] == [0, 1]
    for row in rows:
        assert (row.task, row.kind, row.split, row.dynamics, row.reward) == (
            "light_on", "task", "source", "oracle", "true",
        )  # fmt: skip
        assert row.success and row.steps == row.steps_to_success and row.steps_done == row.steps_total == 1
        assert row.plan_ms > 0


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(controller: Controller) -> None:
    task = KITCHEN.task("drawer_close")
    first, again, other = (
        timeless(evaluate_tasks(controller, [task], episodes=2, seeds=[s])) for s in (0, 0, 1)
    )
    assert first == again
    assert first[0].return_ != other[0].return_


def test_a_short_recipe_is_followed_step_by_step(controller: Controller) -> None:
    recipe = parse_recipe(TWO_STEPS, KITCHEN)
    moments: list[StepInfo] = []
    (played,) = play_episodes(controller, recipe, seed=0, episodes=1, watch=moments.append)
    assert played.result.success and (played.result.steps_done, played.result.steps_total) == (2, 2)
    assert played.result.split == "recipes"
    assert list(dict.fromkeys(played.after)) == ["light_on", "light_off"]
    assert len(played.states) == played.result.steps + 1 == len(moments) + 1


def test_a_failed_recipe_says_why(controller: Controller) -> None:
    recipe = parse_recipe("name: hasty\nsteps: [{task: kettle_back, timeout: 3}]\n", KITCHEN)
    (played,) = play_episodes(controller, recipe, seed=0, episodes=1)
    assert not played.result.success and played.result.steps_to_success is None
    assert "timed out" in played.why and played.result.steps == 3


def test_a_change_of_step_drops_the_old_plan(controller: Controller) -> None:
    agent = controller.agent(0)
    states = task_starts(controller.scene, KITCHEN.task("light_on"), 0, 2)
    obs = torch.from_numpy(controller.scene.observe(states))
    script = TaskScript(KITCHEN.task("light_on"), TrueRewards([KITCHEN.task("light_on")]), 10)
    script.begin(obs)
    agent.act(obs, states, script.goal())
    agent.forget(torch.tensor([True, False]))
    assert agent._plan is not None
    assert torch.equal(agent._plan[0], agent.bounds.middle.expand_as(agent._plan[0]))
    assert not torch.equal(agent._plan[1], agent.bounds.middle.expand_as(agent._plan[1]))


def test_rows_of_recipes_count_their_steps(controller: Controller) -> None:
    recipe = parse_recipe("name: undone\nsteps: [light_on, {task: light_off, timeout: 3}]\n", KITCHEN)
    (row,) = evaluate_recipes(controller, [recipe], episodes=1)
    assert not row.success and (row.steps_done, row.steps_total) == (1, 2)


@dataclass
class Seen:
    """A learned reward that notes what it is given; only the robot's observations are its own."""

    widths: set[tuple[int, torch.dtype]]

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        self.widths |= {(x.shape[-1], x.dtype) for x in (obs, next_obs)}
        return next_obs[..., 0].unsqueeze(-1)

    def success(self, obs: Tensor) -> Tensor:
        return torch.zeros_like(obs[..., :1])

    def pairs(self, rows: Tensor, tasks: Tensor) -> Pairs:
        return SeenPairs(self)


@dataclass
class SeenPairs:
    seen: Seen

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return self.seen.reward(obs, action, next_obs)[..., 0]

    def success(self, obs: Tensor) -> Tensor:
        return self.seen.success(obs)[..., 0]


def test_a_learned_reward_of_a_task_judged_by_states_reads_what_the_robot_sees(
    controller: Controller,
) -> None:
    size = KITCHEN.spec.obs_size
    hidden = PhysicsTask("hidden", "", "user", size, judge=lambda state, action, after: after[:, 0])
    seen, short_kitchen = Seen(set()), replace(KITCHEN, spec=replace(KITCHEN.spec, episode_steps=3))
    short = replace(controller, rewards=lambda tasks: seen, environment=short_kitchen)
    (row,) = evaluate_tasks(short, [hidden], episodes=1)
    assert row.steps == 3 and seen.widths == {(size, torch.float32)}
