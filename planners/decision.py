"""The books of one decision: what was scored, the best plan seen, what was not finite, the time.

Nothing here waits for the device before the plan is settled, so that the device is never left idle.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from planners.base import Objective, Plan
from planners.candidates import worst
from planners.errors import PlannerError
from planners.rounds import Rounds


class Decision:
    """One search, from the first candidate to the plan.

    Attributes:
        rounds: counts the iterations.
    """

    def __init__(self, objective: Objective, start: Float[Tensor, "B H A"], deadline: float | None) -> None:
        self.rounds = Rounds(deadline, start.device)
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

    def settle(
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
        self, std: Float[Tensor, "B H A"], elites: Float[Tensor, "B K H A"] | None = None
    ) -> Plan:
        """The best plan that was considered: one finite return in the whole decision is enough.

        Raises:
            PlannerError: no candidate of some episode had one.
        """
        return self._plan(self._best_return[None], self._best, std, elites)

    def _plan(
        self,
        tops: Float[Tensor, "I B"],
        actions: Float[Tensor, "B H A"],
        std: Float[Tensor, "B H A"],
        elites: Float[Tensor, "B K H A"] | None,
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
        return Plan(actions, std, tops.amax(dim=0), n_nonfinite, done, cut, elites)
