"""What a decision looks like from inside: its candidates, where they lead the hand, and how sure the model is."""

from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.mpc.task_reward import Rewards
from planners.base import Objective, Plan, Planner
from tasks.spec import EnvSpec
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.uncertainty.disagreement import DisagreementScale, disagreement

FAN = 16
"""Candidates that are shown."""


class WatchedPlanner:
    """A planner that remembers the candidates of its last decision; its plans are those of the other, bit for bit.

    Args:
        inner: the planner.

    Attributes:
        candidates: those scored last in the last decision, in the order of their returns, the best first; None before
            the first decision.
    """

    def __init__(self, inner: Planner) -> None:
        self._inner, self.horizon = inner, inner.horizon
        self.candidates: Float[Tensor, "N H A"] | None = None

    def plan(
        self,
        objective: Objective,
        start: Float[Tensor, "B H A"],
        generator: torch.Generator,
        *,
        proposals: Float[Tensor, "B M H A"] | None = None,
        deadline: float | None = None,
    ) -> Plan:
        """See `Planner.plan`."""
        last: list[tuple[Tensor, Tensor]] = []

        def scored(candidates: Float[Tensor, "B N H A"]) -> Float[Tensor, "B N"]:
            returns = objective(candidates)
            if candidates.shape[1] > 1:  # a single one is a mean that is looked at once more
                last[:] = [(candidates[0].detach(), returns[0].detach())]
            return returns

        plan = self._inner.plan(scored, start, generator, proposals=proposals, deadline=deadline)
        if last:
            candidates, returns = last[0]
            self.candidates = candidates[returns.nan_to_num(-torch.inf).argsort(descending=True)]
        return plan


@dataclass(frozen=True, eq=False)
class Outlook:
    """What the model expects of a decision. F candidates, H control steps, O columns of the observation.

    Attributes:
        obs: the imagined observations of the plan, the present one first; the mean of all members.
        hand: where the plan leads the hand, metres; None where there is no hand in space.
        fan: where candidates would lead it, the best first.
        disagreement: after each step of the plan, as a share of held-out roll-outs from 0 to 1; None without a scale.
        now: probability that what is pursued is fulfilled already; not a number where nothing is pursued.
        chance: probability that the plan fulfils the task within its horizon, the mean over the members; not a number
            where nothing is pursued.
    """

    obs: Float[ndarray, "points O"]
    hand: Float[ndarray, "points 3"] | None
    fan: Float[ndarray, "F points 3"] | None
    disagreement: Float[ndarray, " H"] | None
    now: float
    chance: float


class Forecaster:
    """Imagines decisions once more, with every member of the ensemble.

    Args:
        dynamics: the model.
        spec: says where the hand is among the columns.
        scale: converts disagreement into percentiles; None for a model without.
    """

    def __init__(self, dynamics: EnsembleDynamics, spec: EnvSpec, scale: DisagreementScale | None) -> None:
        self._hand = list(spec.hand) if len(spec.hand) == 3 else None
        self._members = Imagination(dynamics, len(dynamics.elites))
        self._mean = Imagination(dynamics, 1)
        self._scale = scale
        self._generator = torch.Generator(dynamics.unit.device).manual_seed(0)  # watching changes no episode

    def __call__(
        self,
        obs: Float[Tensor, "1 O"],
        plan: Plan,
        candidates: Float[Tensor, "N H A"] | None,
        rewards: Rewards | None,
    ) -> Outlook:
        """What is expected of a decision that was made on `obs`."""
        with torch.no_grad():
            imagined = self._members(obs, plan.actions[:1], self._generator)
            fan = None
            if self._hand is not None and candidates is not None:
                fan = self._fan(obs, candidates[:: max(1, len(candidates) // FAN)][:FAN])
        path = imagined.particles[:, :, 0]
        mean, now, chance = path.mean(dim=1), float("nan"), float("nan")
        if rewards is not None:
            each = rewards.success(path).amin(dim=-1)
            now, chance = float(each[0].mean()), float(each[1:].amax(dim=0).mean())
        hand = None if self._hand is None else mean[:, self._hand].cpu().numpy()
        return Outlook(mean.cpu().numpy(), hand, fan, self._percentiles(imagined), now, chance)

    def _fan(self, obs: Float[Tensor, "1 O"], plans: Float[Tensor, "F H A"]) -> Float[ndarray, "F points 3"]:
        path = self._mean(repeat(obs, "1 o -> f o", f=len(plans)), plans, self._generator).obs[:, 0]
        found: ndarray = path[..., self._hand].transpose(0, 1).cpu().numpy()
        return found

    def _percentiles(self, imagined: Imagined) -> Float[ndarray, " H"] | None:
        if self._scale is None:
            return None
        found: ndarray = self._scale.percentile(disagreement(imagined))[:, 0].cpu().numpy()
        return found
