"""Task monitors: what to pursue in each episode, and whether it has succeeded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.evaluation.recipe_executor import BELIEVED, CLEAR, RecipeExecutor
from mbtransfer.mpc.task_reward import Rewards, TaskReward, TrueRewards
from tasks.recipe.progress import RecipeProgress
from tasks.recipe.recipe import DEFAULT_HOLD, Group, Recipe, RecipeStep
from tasks.task import TOLERANCE, Task


@dataclass(frozen=True)
class MonitorResult:
    """The outcome of one control step, for each of B episodes.

    Attributes:
        ended: the episode is over.
        success: it is over, and everything was done.
        changed: its goal has changed, so the old plan is useless.
    """

    ended: Bool[ndarray, " B"]
    success: Bool[ndarray, " B"]
    changed: Bool[ndarray, " B"]


@runtime_checkable
class TaskMonitor(Protocol):
    """Gives the agent the goal of each episode, and judges success.

    A `privileged` monitor gets the simulator's state appended to its observations; see `Simulator.observe_privileged`.
    The task of a `continuing` one has no success: it goes on until time is up.
    """

    kind: str
    name: str
    split: str
    limit: int
    privileged: bool
    continuing: bool

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """Start B episodes."""
        ...

    def goal(self) -> TaskReward:
        """The reward that the episodes pursue now."""
        ...

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """The true reward of what the episodes pursue now."""
        ...

    def advance(self, obs: Float[Tensor, "B O"]) -> MonitorResult:
        """Process one control step, which led to `obs`."""
        ...

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """Keep only some of the episodes."""
        ...

    def adopt(self, rewards: Callable[[Sequence[Task]], Rewards]) -> None:
        """Go on with other rewards of the same tasks, such as those of another model; what is done stays done."""
        ...

    def now(self, row: int) -> str:
        """The current goal of an episode, in words."""
        ...

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """The tasks that an episode pursues now; none once it has ended."""
        ...

    def steps(self, row: int) -> tuple[int, int]:
        """How many steps are truly done, and how many there are."""
        ...

    def why(self, row: int) -> str:
        """Why an episode failed, in words; empty if it just ran out of time."""
        ...


class TaskScript:
    """Monitor of one task, solved once its true predicate has held for `hold` consecutive control steps."""

    kind = "task"

    def __init__(self, task: Task, rewards: Rewards, limit: int, hold: int = DEFAULT_HOLD) -> None:
        self.name, self.split, self.limit = task.name, task.split, limit
        self._task, self._rewards, self._hold = task, rewards, hold
        self.privileged, self.continuing = task.privileged, task.continuing
        self._held, self._weights = np.zeros(0, int), torch.ones(0, 1)

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """See `TaskMonitor.begin`."""
        self._held = np.zeros(len(obs), int)
        self._weights = torch.ones(len(obs), 1, device=obs.device)

    def goal(self) -> TaskReward:
        """See `TaskMonitor.goal`."""
        return TaskReward(self._rewards, self._weights)

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """See `TaskMonitor.reward`."""
        return self._task.reward(obs, action, next_obs)

    def advance(self, obs: Float[Tensor, "B O"]) -> MonitorResult:
        """See `TaskMonitor.advance`."""
        self._held = np.where(self._task.success(obs).cpu().numpy(), self._held + 1, 0)
        solved = self._held >= self._hold
        return MonitorResult(solved, solved, np.zeros_like(solved))

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """See `TaskMonitor.keep`."""
        self._held, self._weights = self._held[rows], self._weights[: int(rows.sum())]

    def adopt(self, rewards: Callable[[Sequence[Task]], Rewards]) -> None:
        """See `TaskMonitor.adopt`."""
        self._rewards = rewards([self._task])

    def now(self, row: int) -> str:
        """See `TaskMonitor.now`."""
        return self.name

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """See `TaskMonitor.tasks_now`."""
        return (self._task,)

    def steps(self, row: int) -> tuple[int, int]:
        """See `TaskMonitor.steps`."""
        return int(self._held[row] >= self._hold), int(not self._task.continuing)

    def why(self, row: int) -> str:
        """See `TaskMonitor.why`."""
        return ""


class RecipeScript:
    """Monitor of one recipe: the agent follows its own belief of what is done, and is judged by the true predicates.

    Timeouts follow the belief: a step that the agent does not believe done in time fails the recipe, and ends the
    episode once no other step of the group is left. Whether steps were done, in order, and stayed done, is decided
    by the true predicates alone.

    Args:
        recipe: the recipe to follow.
        rewards: gives the (learned or true) rewards of tasks.
        action_size: number of action columns.
    """

    kind = "recipe"
    split = "recipes"
    privileged = continuing = False

    def __init__(
        self, recipe: Recipe, rewards: Callable[[Sequence[Task]], Rewards], action_size: int
    ) -> None:
        self.name, self.limit = recipe.name, recipe.total_timeout
        self._recipe, self._judged, self._action_size = recipe, _unhurried(recipe), action_size
        by_name = {step.task.name: step.task for step in recipe.steps}
        tasks, names = list(by_name.values()), list(by_name)
        self._columns = [names.index(step.task.name) for step in recipe.steps]
        self._rewards, self._true = rewards(tasks), TrueRewards(tasks)
        if self._true.privileged:
            raise UserError(
                f"recipe {recipe.name} has a step whose success depends on the simulator's state, which no agent sees"
            )
        self._agent: list[RecipeExecutor] = []
        self._truth: list[RecipeProgress] = []
        self._active = self._guarded = torch.zeros(0, len(tasks))
        self._still = torch.zeros(0, 0)

    def begin(self, obs: Float[Tensor, "B O"]) -> None:
        """See `TaskMonitor.begin`."""
        scores = self._scores(obs)
        self._agent = [RecipeExecutor(self._recipe, of_row) for of_row in scores]
        self._truth = [RecipeProgress(self._judged, of_row) for of_row in scores]
        self._active = self._guarded = obs.new_zeros(len(obs), len(self._true.tasks))
        self._still = torch.zeros_like(obs)
        self._weigh()

    def goal(self) -> TaskReward:
        """See `TaskMonitor.goal`."""
        goal = TaskReward(self._rewards, self._active, self._guarded, self._still)
        leaving = [agent.leaving for agent in self._agent]
        if all(step is None for step in leaving):
            return goal
        steps = self._recipe.steps
        handles = [(0, 0, 0) if step is None else steps[step].task.fixtures[0].handle for step in leaving]

        def away(obs: Float[Tensor, "*h B N O"]) -> Float[Tensor, "*h B N"]:
            each = [obs[..., row, :, list(handle)].norm(dim=-1) for row, handle in enumerate(handles)]
            return torch.stack(each, dim=-2).clamp(max=CLEAR)

        rows = torch.tensor([step is not None for step in leaving], device=self._active.device)
        return goal.override(rows, away)

    def reward(
        self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"], next_obs: Float[Tensor, "B O"]
    ) -> Float[Tensor, " B"]:
        """See `TaskMonitor.reward`; the reward of the step that the agent works on."""
        return (self._true.reward(obs, action, next_obs) * self._active).sum(dim=-1)

    def advance(self, obs: Float[Tensor, "B O"]) -> MonitorResult:
        """See `TaskMonitor.advance`."""
        scores = self._scores(obs)
        chance = self._rewards.success(obs)[:, self._columns].tolist()
        true = (self._true.success(obs) >= BELIEVED)[:, self._columns].tolist()
        before = [agent.place for agent in self._agent]
        for row, (agent, truth) in enumerate(zip(self._agent, self._truth, strict=True)):
            agent.update(chance[row], scores[row])
            truth.update(true[row], scores[row])
        self._weigh()
        pairs = list(zip(self._agent, self._truth, strict=True))
        return MonitorResult(
            ended=np.array([agent.given_up or truth.ended for agent, truth in pairs]),
            success=np.array([truth.finished for _, truth in pairs]),
            changed=np.array([agent.place != old for (agent, _), old in zip(pairs, before, strict=True)]),
        )

    def keep(self, rows: Bool[ndarray, " B"]) -> None:
        """See `TaskMonitor.keep`."""
        kept = np.flatnonzero(rows)
        self._agent, self._truth = [self._agent[i] for i in kept], [self._truth[i] for i in kept]
        self._active, self._guarded, self._still = (
            x[kept.tolist()] for x in (self._active, self._guarded, self._still)
        )

    def adopt(self, rewards: Callable[[Sequence[Task]], Rewards]) -> None:
        """See `TaskMonitor.adopt`."""
        self._rewards = rewards(list(self._true.tasks))

    def now(self, row: int) -> str:
        """See `TaskMonitor.now`."""
        return " and ".join(self._recipe.steps[i].label for i in self._agent[row].at)

    def tasks_now(self, row: int) -> tuple[Task, ...]:
        """See `TaskMonitor.tasks_now`."""
        return tuple(self._recipe.steps[i].task for i in self._agent[row].at)

    def steps(self, row: int) -> tuple[int, int]:
        """See `TaskMonitor.steps`; optional steps do not count."""
        return self._truth[row].steps_done, self._truth[row].steps_total

    def belief(self, row: int) -> RecipeProgress:
        """The agent's belief about the progress of an episode."""
        return self._agent[row].belief

    def why(self, row: int) -> str:
        """Why the recipe is not done, in words; empty if that is not known."""
        return self._truth[row].failure or self._agent[row].belief.failure or ""

    def _scores(self, obs: Float[Tensor, "B O"]) -> list[list[float]]:
        """Score of each step from here: its reward, which is highest for the step closest to success."""
        idle = obs.new_zeros(len(obs), self._action_size)
        scores: list[list[float]] = self._rewards.reward(obs, idle, obs)[:, self._columns].tolist()
        return scores

    def _weigh(self) -> None:
        active, guarded = torch.zeros_like(self._active), torch.zeros_like(self._guarded)
        still = torch.zeros_like(self._still)
        for row, agent in enumerate(self._agent):
            for i in agent.at:
                active[row, self._columns[i]] = 1.0
            for i in agent.guarded:
                guarded[row, self._columns[i]] = 1.0
                if i not in agent.at:
                    for fixture in self._recipe.steps[i].task.fixtures:
                        still[row, fixture.position] = 1.0 / (TOLERANCE * fixture.span)
        self._active, self._guarded, self._still = active, guarded, still


def _unhurried(recipe: Recipe) -> Recipe:
    """The recipe used for judging, without time limits of required steps: the belief may work in another order."""

    def step(given: RecipeStep) -> RecipeStep:
        return given if given.optional else replace(given, timeout=recipe.total_timeout)

    groups = tuple(Group(tuple(map(step, group.steps)), group.any_order) for group in recipe.groups)
    return replace(recipe, groups=groups)
