"""Goals with subgoals found by a search over what is reachable: the button before the drawer that it unlocks.

A world's locks are told as operators: what each needs and what it changes, over facts that observations show
(preconditions and effects as in Fikes and Nilsson 1971, "STRIPS"). From every combination of facts, a breadth-first
search finds the least number of operators to the goal and the one to begin with. The reward of a goal is then that of
the operator to pursue now, minus a cost for each one that is left: a reward of the observation alone, which plans can
look across.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tasks.errors import TaskError
from tasks.spec import Fixture
from tasks.task import OPEN_COST, Task

MAX_FACTS = 16
"""The search is over all combinations of facts."""


@dataclass(frozen=True)
class Operator:
    """One thing that can be done.

    Attributes:
        task: its reward is pursued.
        needs: facts, by number, that must be so before.
        makes: facts that are so after.
        toggles: facts that are the other way round after.
    """

    task: Task
    needs: tuple[tuple[int, bool], ...] = ()
    makes: tuple[tuple[int, bool], ...] = ()
    toggles: tuple[int, ...] = ()

    def possible(self, facts: int) -> bool:
        """Whether it can be done where the bits of `facts` are so."""
        return all(bool(facts >> k & 1) == so for k, so in self.needs)

    def after(self, facts: int) -> int:
        """The facts that it leads to."""
        for k, so in self.makes:
            facts = facts | 1 << k if so else facts & ~(1 << k)
        for k in self.toggles:
            facts ^= 1 << k
        return facts


@dataclass(frozen=True)
class SubgoalPlan:
    """What to do from each of the 2^n combinations of n facts.

    Attributes:
        left: number of operators to the goal; one more than the longest way where there is none.
        first: number of the operator to begin with; the number of operators where nothing is to be done.
    """

    left: tuple[int, ...]
    first: tuple[int, ...]

    def steps(self, facts: int, operators: Sequence[Operator]) -> list[int]:
        """Numbers of the operators to the goal, in order; empty at the goal, or where there is no way."""
        found = list[int]()
        while self.first[facts] < len(operators):
            found.append(self.first[facts])
            facts = operators[found[-1]].after(facts)
        return found


def search(facts: int, operators: Sequence[Operator], goal: Sequence[tuple[int, bool]]) -> SubgoalPlan:
    """Breadth-first search backwards from every combination of facts in which the goal holds.

    Args:
        facts: how many there are.
        operators: what can be done.
        goal: what shall be so in the end.

    Raises:
        TaskError: too many facts to search.
    """
    if facts > MAX_FACTS:
        raise TaskError(f"{facts} facts are too many to search over; {MAX_FACTS} at most")
    size, none = 2**facts, len(operators)
    into: list[list[tuple[int, int]]] = [[] for _ in range(size)]
    for before in range(size):
        for k, operator in enumerate(operators):
            if operator.possible(before):
                into[operator.after(before)].append((before, k))
    left, first = [-1] * size, [none] * size
    level = [one for one in range(size) if all(bool(one >> k & 1) == so for k, so in goal)]
    for one in level:
        left[one] = 0
    depth = 0
    while level:
        depth += 1
        reached = list[int]()
        for after in level:
            for before, k in into[after]:
                if left[before] < 0:
                    left[before], first[before] = depth, k
                    reached.append(before)
        level = reached
    return SubgoalPlan(tuple(depth if one < 0 else one for one in left), tuple(first))


@dataclass(frozen=True)
class StagedTask(Task):
    """A goal and the operators that lead to it.

    Attributes:
        facts: each holds where its success does; what they show is what the search is over.
        operators: what can be done.
        plan: from `search`.
        done: judges success, if that is not the goal of the search itself.
    """

    facts: tuple[Task, ...]
    operators: tuple[Operator, ...]
    plan: SubgoalPlan
    done: Task | None = None

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """That of the operator to pursue where the step has led to, minus a cost for each that is left."""
        now = self.shown(next_obs)
        left, first = (torch.tensor(x, device=now.device)[now] for x in (self.plan.left, self.plan.first))
        rewards = [op.task.reward(obs, action, next_obs) for op in self.operators]
        each = torch.stack([*rewards, torch.zeros_like(rewards[0])], dim=-1)
        pursued = each.gather(-1, first[..., None])[..., 0]
        return pursued - OPEN_COST * left.to(pursued)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of `done`; else whether nothing is left to do."""
        if self.done is not None:
            return self.done.success(obs)
        now = self.shown(obs)
        return torch.tensor(self.plan.left, device=now.device)[now] == 0

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Those of all operators, each once."""
        return tuple(dict.fromkeys(fixture for op in self.operators for fixture in op.task.fixtures))

    def shown(self, obs: Float[Tensor, "*b O"]) -> Int[Tensor, "*b"]:
        """The combination of facts, one bit each."""
        return sum(
            (fact.success(obs).long() << k for k, fact in enumerate(self.facts)),
            torch.zeros(obs.shape[:-1], dtype=torch.long, device=obs.device),
        )

    def steps(self, obs: Float[Tensor, " O"]) -> list[str]:
        """Names of what is to be done from here, in order."""
        return [self.operators[k].task.name for k in self.plan.steps(int(self.shown(obs)), self.operators)]
