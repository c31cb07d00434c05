"""A recipe as a script: what the robot believes picks the next step, the true predicates judge."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.evaluation.pursuit import BELIEVED, Pursuit
from mbtransfer.evaluation.scripts import Verdict
from mbtransfer.goal import Goal, Rewards, TrueRewards
from tasks.recipe.model import Group, Recipe, RecipeStep
from tasks.recipe.progress import RecipeProgress
from tasks.task import Task


class RecipeScript:
    """One recipe: the agent follows its own belief of what is done, and is judged by what truly is.

    The belief keeps the clock: a step that it has not seen done in time fails the recipe, and ends it once
    no other step of the group is left. Whether steps were done, in order, and stayed done, is for the true
    predicates alone.

    Args:
        recipe: what to do.
        rewards: gives the (learned or true) rewards of tasks.
        action_size: columns of an action.
    """

    kind = "recipe"
    split = "recipes"
    needs_state = endless = False

    def __init__(
        self, recipe: Recipe, rewards: Callable[[Sequence[Task]], Rewards], action_size: int
    ) -> None:
        self.name, self.limit = recipe.name, recipe.total_timeout
        self._recipe, self._judged, self._action_size = recipe, _unhurried(recipe), action_size
        by_name = {step.task.name: step.task for step in recipe.steps}
        tasks, names = list(by_name.values()), list(by_name)
        self._columns = [names.index(step.task.name) for step in recipe.steps]
        self._rewards, self._true = rewards(tasks), TrueRewards(tasks)
        if self._true.needs_state:
            raise UserError(
                f"recipe {recipe.name} has a step that only the simulator's state tells: an agent cannot see it done"
            )
        self._agent: list[Pursuit] = []
        self._truth: list[RecipeProgress] = []
        self._active = self._guarded = torch.zeros(0, len(tasks))

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """See `Script.begin`."""
        scores = self._scores(obs)
        self._agent = [Pursuit(self._recipe, of_row) for of_row in scores]
        self._truth = [RecipeProgress(self._judged, of_row) for of_row in scores]
        self._active = self._guarded = obs.new_zeros(len(obs), len(self._true.tasks))
        self._weigh()

    def goal(self) -> Goal:
        """See `Script.goal`."""
        return Goal(self._rewards, self._active, self._guarded)

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """See `Script.reward`; that of the step that the agent is at."""
        return (self._true.reward(obs, action, next_obs) * self._active).sum(dim=-1)

    def advance(self, obs: Float[Tensor, "B O"]) -> Verdict:
        """See `Script.advance`."""
        scores = self._scores(obs)
        chance = self._rewards.success(obs)[:, self._columns].tolist()
        true = (self._true.success(obs) >= BELIEVED)[:, self._columns].tolist()
        before = [agent.place for agent in self._agent]
        for row, (agent, truth) in enumerate(zip(self._agent, self._truth, strict=True)):
            agent.update(chance[row], scores[row])
            truth.update(true[row], scores[row])
        self._weigh()
        pairs = list(zip(self._agent, self._truth, strict=True))
        return Verdict(
            ended=np.array([agent.given_up or truth.ended for agent, truth in pairs]),
            success=np.array([truth.finished for _, truth in pairs]),
            changed=np.array([agent.place != old for (agent, _), old in zip(pairs, before, strict=True)]),
        )

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """See `Script.keep`."""
        kept = np.flatnonzero(rows)
        self._agent, self._truth = [self._agent[i] for i in kept], [self._truth[i] for i in kept]
        self._active, self._guarded = self._active[kept.tolist()], self._guarded[kept.tolist()]

    def now(self, row: int) -> str:
        """See `Script.now`."""
        return " and ".join(self._recipe.steps[i].label for i in self._agent[row].at)

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """See `Script.tasks_now`."""
        return tuple(self._recipe.steps[i].task for i in self._agent[row].at)

    def steps(self, row: int) -> tuple[int, int]:
        """See `Script.steps`; optional steps do not count."""
        return self._truth[row].steps_done, self._truth[row].steps_total

    def belief(self, row: int) -> RecipeProgress:
        """Where the agent believes that an episode stands."""
        return self._agent[row].belief

    def why(self, row: int) -> str:
        """Why the recipe is not done, in words; nothing where that is not known."""
        return self._truth[row].failure or self._agent[row].belief.failure or ""

    def _scores(self, obs: Float[Tensor, "B O"]) -> list[list[float]]:
        """What a step that may come next is worth from here: its reward, highest for the nearest one."""
        idle = obs.new_zeros(len(obs), self._action_size)
        scores: list[list[float]] = self._rewards.reward(obs, idle, obs)[:, self._columns].tolist()
        return scores

    def _weigh(self) -> None:
        active, guarded = torch.zeros_like(self._active), torch.zeros_like(self._guarded)
        for row, agent in enumerate(self._agent):
            for i in agent.at:
                active[row, self._columns[i]] = 1.0
            for i in agent.guarded:
                guarded[row, self._columns[i]] = 1.0
        self._active, self._guarded = active, guarded


def _unhurried(recipe: Recipe) -> Recipe:
    """The recipe as it is judged: the belief keeps the clock of required steps, it may pick another order."""

    def step(given: RecipeStep) -> RecipeStep:
        return given if given.optional else replace(given, timeout=recipe.total_timeout)

    groups = tuple(Group(tuple(map(step, group.steps)), group.any_order) for group in recipe.groups)
    return replace(recipe, groups=groups)
