"""From imagined futures to one number per plan: discount, terminal value, risk, doubt, constraints."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from world_models.calibration.uncertainty import DisagreementScale, disagreement
from world_models.imagine import Imagined

Risk = Literal["mean", "cvar", "optimistic"]

Value = Callable[[Float[Tensor, "*b O"]], Float[Tensor, "*b"]]
"""What is still to come from a state; at the end of the horizon it stands for all that lies beyond."""

Constraint = Callable[[Tensor, Tensor, Tensor], Tensor]
"""obs, action, next_obs to how far a transition is beyond what is allowed; zero or less is allowed."""

FORBIDDEN = 1e5
"""What a plan loses by breaking a constraint at all: more than any reward makes good."""


@dataclass(frozen=True)
class Valuation:
    """How the rewards along P particles become the return of a plan.

    Attributes:
        discount: factor per control step.
        risk: the mean of the particles, of the worst `tail` of them (CVaR; Rockafellar and Uryasev 2000), or
            of the best.
        tail: share of the particles that counts for `cvar` and `optimistic`; at least one does.
        doubt: cost, per control step, of disagreement at its highest percentile; below zero it is a bonus
            (Sekar et al. 2020, Plan2Explore, planned online).
        scale: what makes percentiles of disagreement; needed with `doubt`.
        value: the value at the end of the horizon; None is zero.
        constraints: what plans must keep to, in every particle and step.

    Raises:
        UserError: a setting out of range, or doubt without a scale.
    """

    discount: float = 1.0
    risk: Risk = "mean"
    tail: float = 0.5
    doubt: float = 0.0
    scale: DisagreementScale | None = None
    value: Value | None = None
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.discount <= 1:
            raise UserError(f"discount must be above 0 and at most 1, not {self.discount}")
        if not 0 < self.tail <= 1:
            raise UserError(f"tail must be above 0 and at most 1, not {self.tail}")
        if self.risk not in get_args(Risk):
            raise UserError(f"no risk {self.risk!r}; there are {', '.join(get_args(Risk))}")
        if self.doubt and self.scale is None:
            raise UserError("doubt needs the model's scale of disagreement; fit the model again to get one")

    def returns(
        self, rewards: Float[Tensor, "H Q R"], futures: Imagined, actions: Float[Tensor, "H 1 R A"]
    ) -> Float[Tensor, " R"]:
        """The return of each plan.

        Args:
            rewards: of each step and particle.
            futures: where they lead.
            actions: the plans.
        """
        if self.discount < 1:
            power = torch.arange(len(rewards), device=rewards.device)
            rewards = rewards * (self.discount**power)[:, None, None]
        total = rewards.sum(dim=0)
        if self.value is not None:
            total = total + self.discount ** len(rewards) * self.value(futures.obs[-1])
        returns = self._over_particles(total)
        if self.doubt and self.scale is not None:
            returns = returns - self.doubt * self.scale.percentile(disagreement(futures)).sum(dim=0)
        if self.constraints:
            beyond = self.violation(futures, actions)
            returns = torch.where(beyond > 0, -FORBIDDEN - beyond, returns)
        return returns

    def violation(self, futures: Imagined, actions: Float[Tensor, "H 1 R A"]) -> Float[Tensor, " R"]:
        """How far each plan breaks a constraint, at worst over constraints, steps and particles; or zero."""
        path = futures.obs
        each = [
            rule(path[:-1], actions.expand(*path[1:].shape[:-1], -1), path[1:]) for rule in self.constraints
        ]
        if not each:
            return path.new_zeros(path.shape[2])
        return torch.stack(each).flatten(0, 2).amax(dim=0).clamp(min=0.0)

    def _over_particles(self, total: Float[Tensor, "Q R"]) -> Float[Tensor, " R"]:
        if self.risk == "mean" or len(total) == 1:
            return total.mean(dim=0)
        count = max(1, round(self.tail * len(total)))
        return total.topk(count, dim=0, largest=self.risk == "optimistic").values.mean(dim=0)
