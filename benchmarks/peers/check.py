"""What must be true of an entry before its time means anything."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "auto": 0.05}
"""Largest difference of a predicted column from the plain loop's."""

DECISIONS = 5
"""Decisions by which a planner is judged."""


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        error: largest difference of a one-step prediction from the plain loop's.
        gain: return of a few decisions, less the return of doing nothing.
    """

    error: float
    gain: float


def check(entry: Entry, work: Work) -> Checked:
    """The network is the same, a decision takes the steps that it is credited with, and it is a good one.

    Raises:
        RuntimeError: one of these is not so.
    """
    error = _error(entry, work)
    if error > TOLERANCE[entry.precision]:
        raise RuntimeError(f"{entry.name}: predictions differ by {error:.2g}: its network is another one")
    idle, _ = _follow(work, lambda obs: torch.zeros(work.sizes.action))
    gained, steps = _follow(work, entry.decide)
    if steps != DECISIONS * work.sizes.model_steps:
        raise RuntimeError(
            f"{entry.name}: {steps / DECISIONS:,.0f} model steps, not {work.sizes.model_steps:,}"
        )
    if not gained > idle:
        raise RuntimeError(f"{entry.name}: a return of {gained:.3g}, and {idle:.3g} for doing nothing")
    return Checked(error, gained - idle)


def _error(entry: Entry, work: Work) -> float:
    generator = torch.Generator().manual_seed(1)
    obs = torch.randn(200, work.sizes.obs, generator=generator)
    action = 2 * torch.rand(200, work.sizes.action, generator=generator) - 1
    return float((entry.predict(obs, action) - work.predict(obs, action)).abs().max())


def _follow(work: Work, decide: Callable[[Tensor], Tensor]) -> tuple[float, int]:
    """The return of a few decisions in a world that is the members' mean, and the model steps they took."""
    obs, total, steps = work.start, 0.0, 0
    for _ in range(DECISIONS):
        before = work.judged
        action = decide(obs)
        steps += work.judged - before
        after = work.predict(obs[None], action[None]).mean(dim=0)[0]
        total, obs = total + float(work.reward(obs, action, after)), after
    return total, steps
