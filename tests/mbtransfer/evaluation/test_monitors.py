"""When a task or a step of a recipe counts as done."""

from __future__ import annotations

import torch

from mbtransfer.evaluation.monitors import RecipeScript, TaskScript
from mbtransfer.mpc.task_reward import TrueRewards
from tasks.recipe import parse_recipe
from tests.mbtransfer.evaluation.tiny import KITCHEN, TWO_STEPS


def test_success_needs_three_control_steps_in_a_row() -> None:
    task = KITCHEN.task("light_on")
    script = TaskScript(task, TrueRewards([task]), limit=10)
    there, away = (torch.zeros(1, KITCHEN.spec.obs_size) for _ in range(2))
    there[:, KITCHEN.spec.fixture("light_switch").position] = 0.6
    script.begin(away)
    ended = [bool(script.advance(obs).ended[0]) for obs in (there, there, away, there, there, there)]
    assert ended == [False] * 5 + [True]


class Doubtful(TrueRewards):
    """Never believes that anything is done."""

    def success(self, obs: torch.Tensor) -> torch.Tensor:
        """Nothing."""
        return torch.zeros(*obs.shape[:-1], len(self.tasks))


def test_the_true_predicates_judge_and_the_belief_picks_the_step() -> None:
    recipe = parse_recipe("name: one\nsteps: [light_on]\n", KITCHEN)
    there = torch.zeros(2, KITCHEN.spec.obs_size)
    there[0, KITCHEN.spec.fixture("light_switch").position] = 0.6
    doubtful = RecipeScript(recipe, Doubtful, KITCHEN.spec.action_size)
    doubtful.begin(there)
    verdicts = [doubtful.advance(there) for _ in range(3)]
    assert verdicts[2].success.tolist() == [True, False], "done in truth, though never believed"
    two = RecipeScript(parse_recipe(TWO_STEPS, KITCHEN), Doubtful, KITCHEN.spec.action_size)
    two.begin(there)
    for _ in range(5):
        two.advance(there)
    assert two.now(0) == "light_on" and two.steps(0) == (1, 2), "the belief has not moved on, the truth has"
