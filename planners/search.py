"""Search state of one decision: candidates scored, best plan, time budget.

Nothing here waits for the device before the plan is settled, so that the device is never left idle.

Anytime planning: Dean and Boddy (1988), "An analysis of time-dependent planning".
"""

from collections.abc import Iterator
from time import perf_counter

import torch
from jaxtyping import Float, Int
from torch import Tensor

from planners.base import Objective, Plan
from planners.errors import PlannerError


class SearchState:
    """One search, from the first candidate to the plan.

    Attributes:
        rounds: counts the iterations.
    """

    def __init__(self, objective: Objective, start: Float[Tensor, "B H A"], deadline: float | None) -> None:
        self.rounds = Deadline(deadline, start.device)
        self._objective, self._best = objective, start
        self._best_return = start.new_full(start.shape[:1], worst(start))
        self._scores: list[Tensor] = []

    def score(self, candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
        """Their returns, as precise a number as the plans are; `worst` where not finite."""
        returns = self._objective(candidates).to(candidates.dtype)
        bad = worst(returns)
        returns = returns.nan_to_num(nan=bad, posinf=bad, neginf=bad)
        self._scores.append(returns.detach())
        return returns

    def consider(self, plans: Float[Tensor, "B H A"], returns: Float[Tensor, " B"]) -> None:
        """Remember these plans where they are the best so far."""
        better = returns > self._best_return
        self._best = torch.where(better[:, None, None], plans, self._best)
        self._best_return = torch.where(better, returns, self._best_return)

    def finish(
        self,
        actions: Float[Tensor, "B H A"],
        std: Float[Tensor, "B H A"],
        elites: Float[Tensor, "B K H A"] | None = None,
    ) -> Plan:
        """The plan of a planner that averages: it rests on every iteration, so each needs a finite return.

        Raises:
            PlannerError: in some iteration no candidate of some episode had one.
        """
        tops = torch.stack([returns.amax(dim=1) for returns in self._scores])
        return self._plan(tops, actions, std, elites)

    def settle_on_best(
        self,
        std: Float[Tensor, "B H A"],
        elites: Float[Tensor, "B K H A"] | None = None,
        mean: Float[Tensor, "B H A"] | None = None,
    ) -> Plan:
        """The best plan that was considered: one finite return in the whole decision is enough.

        Raises:
            PlannerError: no candidate of some episode had one.
        """
        return self._plan(self._best_return[None], self._best, std, elites, mean)

    def _plan(
        self,
        tops: Float[Tensor, "I B"],
        actions: Float[Tensor, "B H A"],
        std: Float[Tensor, "B H A"],
        elites: Float[Tensor, "B K H A"] | None,
        mean: Float[Tensor, "B H A"] | None = None,
    ) -> Plan:
        """A plan, where each of `tops` is finite. The one place that waits for the device."""
        returns = torch.cat(self._scores, dim=1)
        bad = worst(returns)
        n_nonfinite, lost = torch.stack([(returns == bad).sum(), (tops == bad).sum()]).tolist()
        if lost:
            raise PlannerError(
                "every candidate plan has a non-finite return; check the model, the reward and the data"
            )
        done, cut = self.rounds.done, self.rounds.cut
        return Plan(actions, std, tops.amax(dim=0), n_nonfinite, done, cut, elites, mean)


class Deadline:
    """Counts iterations, and begins none that would end after the deadline.

    Attributes:
        done: iterations that are over.
        cut: whether the deadline ended them early.
    """

    def __init__(self, deadline: float | None, device: torch.device) -> None:
        self.done, self.cut = 0, False
        self._deadline, self._device = deadline, device
        self._began = self._longest = 0.0

    def __call__(self, most: int) -> Iterator[int]:
        """0, 1, ... up to `most` iterations; later calls go on with the same deadline."""
        for i in range(most):
            if self._deadline is not None and not self._fits(self._deadline):
                self.cut = True
                return
            yield i
            self.done += 1

    def _fits(self, deadline: float) -> bool:
        """Whether there is time for one more iteration like the longest; the first is always done."""
        if self._device.type == "cuda":  # what was launched so far is not over yet
            torch.cuda.synchronize(self._device)
        now = perf_counter()
        if self.done:
            self._longest = max(self._longest, now - self._began)
        self._began = now
        return self.done == 0 or now + self._longest <= deadline


def worst(returns: Float[Tensor, "*b"]) -> float:
    """The return that stands for one that is not finite; a number, so that arithmetic on it stays finite."""
    return torch.finfo(returns.dtype).min


def join(*groups: Float[Tensor, "B _ H A"] | None) -> Float[Tensor, "B N H A"]:
    """All plans of all groups; None is an empty group."""
    present = [group for group in groups if group is not None]
    return present[0] if len(present) == 1 else torch.cat(present, dim=1)


def pick(candidates: Float[Tensor, "B N H A"], index: Int[Tensor, "B K"]) -> Float[Tensor, "B K H A"]:
    """The candidates at `index`, episode by episode."""
    return candidates.take_along_dim(index[..., None, None], dim=1)


def best_of(
    candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"], n: int
) -> tuple[Float[Tensor, "B K H A"], Float[Tensor, "B K"]]:
    """The K = n candidates with the highest returns, best first, and their returns.

    Where fewer have a finite return, the best one stands in for each of the others.
    """
    top = returns.topk(n, dim=1)
    lost = top.values == worst(returns)
    index = torch.where(lost, top.indices[:, :1], top.indices)
    return pick(candidates, index), torch.where(lost, top.values[:, :1], top.values)
