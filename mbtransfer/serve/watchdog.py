"""The watchdog: the last look at a plan before a robot moves by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from tasks.spec import EnvSpec


class Fault(Enum):
    """Why a robot gets the safe action instead of its plan's."""

    IDLE = "idle"
    BLIND = "blind"
    LATE = "late"
    FAILED = "failed"
    NOT_FINITE = "not_finite"
    OUT_OF_BOUNDS = "out_of_bounds"
    CONSTRAINT = "constraint"
    DOUBT = "doubt"


@dataclass(frozen=True, eq=False)
class Proposal:
    """A plan, and what is known of it.

    Attributes:
        plan: the actions; the first one is what the robot would do now.
        doubt: after each step, the share of held-out roll-outs on which the members disagree less; None where the
            model has no scale of disagreement.
        violation: how far the plan breaks a constraint; None where there is no constraint.
    """

    plan: Float[ndarray, "H A"]
    doubt: Float[ndarray, " H"] | None = None
    violation: float | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the robot shall do.

    Attributes:
        action: the plan's first action, or the safe one.
        fault: None if it is the plan's.
        why: the fault in words; empty if there is none.
    """

    action: Float[ndarray, " A"]
    fault: Fault | None = None
    why: str = ""


class Watchdog:
    """Lets a plan pass, or answers with the safe action. It keeps nothing from one plan to the next.

    Args:
        low, high: the action box, in the actions' units.
        safe: what the robot does instead of a faulty plan.
        deadline: seconds from the observation on, after which a plan is late.
        most_doubt: the greatest mean doubt along a plan that passes, from 0 to 1; None for any.

    Raises:
        UserError: a safe action that the robot cannot take, or a limit that is not one.
    """

    def __init__(
        self,
        low: Float[ndarray, " A"],
        high: Float[ndarray, " A"],
        safe: Float[ndarray, " n"],
        deadline: float,
        most_doubt: float | None = None,
    ) -> None:
        if safe.shape != low.shape:
            raise UserError(f"the safe action has {len(safe)} values; the robot takes {len(low)}")
        if not bool(((low <= safe) & (safe <= high)).all()):
            raise UserError(
                f"the safe action {_list(safe)} is outside of the robot's bounds {_list(low)} to {_list(high)}; "
                "give one with --safe-action"
            )
        if not deadline > 0:
            raise UserError(f"a plan cannot be due after {1e3 * deadline:g} ms")
        if most_doubt is not None and not 0 <= most_doubt <= 1:
            raise UserError(f"the greatest doubt must be from 0 to 1, not {most_doubt}")
        self.safe, self.deadline, self.most_doubt = safe, deadline, most_doubt
        most = np.finfo(np.float32).max  # infinity is within no bounds, not even within infinite ones
        self._low, self._high = np.clip(low, -most, most), np.clip(high, -most, most)

    def judge(self, proposal: Proposal, age: float) -> Verdict:
        """The plan's first action if nothing is wrong with the plan; else the safe one.

        Each comparison is written so that a number that is not one counts as a fault.

        Args:
            proposal: the plan.
            age: seconds since its observation came.
        """
        if not age <= self.deadline:
            return self.late(age)
        plan = proposal.plan
        if plan.ndim != 2 or not len(plan) or plan.shape[1] != len(self.safe):
            return self.refuse(Fault.FAILED, f"a plan of shape {plan.shape}")
        if not ((self._low <= plan) & (plan <= self._high)).all():
            if not np.isfinite(plan).all():
                return self.refuse(Fault.NOT_FINITE, "the plan is not finite")
            return self.refuse(Fault.OUT_OF_BOUNDS, "the plan leaves the robot's bounds")
        if proposal.violation is not None and not proposal.violation <= 0:
            return self.refuse(Fault.CONSTRAINT, f"the plan breaks a constraint by {proposal.violation:.3g}")
        if self.most_doubt is not None:
            doubt = None if proposal.doubt is None else float(np.mean(proposal.doubt))
            if not (doubt is not None and doubt <= self.most_doubt):
                told = "unknown" if doubt is None else f"{doubt:.3f}"
                return self.refuse(Fault.DOUBT, f"the model's doubt is {told}, above {self.most_doubt:g}")
        return Verdict(plan[0].copy())

    def late(self, age: float) -> Verdict:
        """The answer for a plan that is late, or has not come at all."""
        return self.refuse(Fault.LATE, f"no plan after {1e3 * age:.0f} of {1e3 * self.deadline:.0f} ms")

    def refuse(self, fault: Fault, why: str) -> Verdict:
        """The safe action, for a reason."""
        return Verdict(self.safe.copy(), fault, why)


def watchdog_of(
    spec: EnvSpec,
    safe: Sequence[float] = (),
    deadline: float | None = None,
    most_doubt: float | None = None,
) -> Watchdog:
    """A watchdog for a robot.

    Args:
        spec: says what the robot's actions are, and how long a control step is.
        safe: the safe action; empty for zeros.
        deadline: seconds; None for one control step.
        most_doubt: see `Watchdog`.

    Raises:
        UserError: as `Watchdog`; or an environment without a control step, and no deadline.
    """
    if deadline is None and not spec.control_dt > 0:
        raise UserError(f"{spec.name} does not say how long a control step is; give --deadline-ms")
    low, high = (np.array([getattr(v, end) for v in spec.action], np.float32) for end in ("low", "high"))
    action = np.array(safe, np.float32) if len(safe) else np.zeros_like(low)
    return Watchdog(low, high, action, spec.control_dt if deadline is None else deadline, most_doubt)


def _list(values: ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
