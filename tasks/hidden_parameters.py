"""Ranges from which the hidden parameters of the dynamics are drawn, episode by episode.

Dynamics randomisation: Peng et al. (2018), "Sim-to-real transfer of robotic control with dynamics randomization",
section IV-C. What differs are factors on mass, friction, damping and gear, as in `tasks.variants`, and a delay. A
vector of K parameters holds the natural logarithms of the factors, so that half and double are equally far from 1, and
the delay in control steps; zeros are the environment as it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from tasks.errors import TaskError
from tasks.spec import Variable, nearest
from tasks.variants import LONGEST, MOST, DynamicsVariant

FACTORS = ("mass", "friction", "damping", "gear")
DELAY = "delay"


@dataclass(frozen=True)
class HiddenParameter:
    """One of the K numbers: what it changes, the part that it changes (all, if empty), and its ends."""

    what: str
    part: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """As messages and tables have it: `mass`, or `mass of cart`."""
        return f"{self.what} of {self.part}" if self.part else self.what

    @property
    def column(self) -> Variable:
        """Its column where it is observed."""
        if self.what == DELAY:
            return Variable(self.name, "control steps", self.low, self.high)
        return Variable(f"log {self.name}", "", self.low, self.high)


@dataclass(frozen=True)
class Ranges:
    """How far dynamics may differ; what is None stays as it is.

    Attributes:
        mass, friction, damping, gear: lowest and highest factor, a pair for all or a mapping with a pair for each
            part that is named; the logarithm is drawn evenly. The parts are those of `DynamicsVariant`.
        delay: fewest and most control steps until an action takes effect.

    Raises:
        TaskError: a range that makes no sense, or none at all.
    """

    # Anything to the type checker: __post_init__ checks them always, in words for the user.
    mass: Any = None
    friction: Any = None
    damping: Any = None
    gear: Any = None
    delay: Any = (0, 0)

    def __post_init__(self) -> None:
        low, high = _pair(DELAY, self.delay)
        if not all(isinstance(end, int) for end in (low, high)) or not 0 <= low <= high <= LONGEST:
            raise TaskError(
                f"range of delay: needs whole numbers from 0 to {LONGEST}, not {low!r} to {high!r}"
            )
        if low == high and low:
            raise TaskError(f"range of delay: {low} to {high} never differs; use a variant instead")
        if not self.parameters:
            raise TaskError(f"ranges need at least one of {', '.join((*FACTORS, DELAY))}")

    def __hash__(self) -> int:
        return hash(repr(self))

    @cached_property
    def parameters(self) -> tuple[HiddenParameter, ...]:
        """All K, in the order of their columns."""
        found = []
        for what in FACTORS:
            given = getattr(self, what)
            each = {} if given is None else given if isinstance(given, Mapping) else {"": given}
            for part, ends in each.items():
                low, high = _pair(HiddenParameter(what, part, 0.0, 0.0).name, ends)
                if not 1 / MOST <= low < high <= MOST:
                    raise TaskError(
                        f"range of {what}: needs two factors from {1 / MOST:g} to {MOST:g}, the lower one first, "
                        f"not {low!r} to {high!r}"
                    )
                found.append(HiddenParameter(what, part, math.log(low), math.log(high)))
        if self.delay[1]:
            found.append(HiddenParameter(DELAY, "", *map(float, self.delay)))
        return tuple(found)

    @property
    def names(self) -> list[str]:
        """The names of the parameters."""
        return [parameter.name for parameter in self.parameters]

    def draw(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n K"]:
        """Parameters of n episodes, evenly from the ranges."""
        drawn = np.empty((n, len(self.parameters)))
        for column, one in zip(drawn.T, self.parameters, strict=True):
            whole = one.what == DELAY
            column[:] = (
                rng.integers(int(one.low), int(one.high) + 1, n)
                if whole
                else rng.uniform(one.low, one.high, n)
            )
        return drawn

    def vector(self, factors: Mapping[str, float | int]) -> Float[ndarray, " K"]:
        """The parameters with these factors (or this delay), by name; all others as the environment has them.

        Raises:
            TaskError: no such parameter, or a factor that is not above zero.
        """
        values = np.zeros(len(self.parameters))
        for name, factor in factors.items():
            if name not in self.names:
                raise TaskError(f"no range of {name!r}{nearest(name, self.names)}")
            if name != DELAY and not 0 < factor < math.inf:
                raise TaskError(f"a factor of {name} must be above 0, not {factor!r}")
            values[self.names.index(name)] = factor if name == DELAY else math.log(factor)
        return values

    def variant(self, values: Float[ndarray, " K"]) -> DynamicsVariant:
        """The dynamics with these parameters, but for the delay.

        Raises:
            TaskError: a factor beyond what variants may have.
        """
        factors: dict[str, float | dict[str, float]] = {}
        for one, value in zip(self.parameters, values.tolist(), strict=True):
            if one.what != DELAY and not one.part:
                factors[one.what] = math.exp(value)
            elif one.what != DELAY:
                named = factors.setdefault(one.what, {})
                assert isinstance(named, dict)
                named[one.part] = math.exp(value)
        return DynamicsVariant("drawn", **factors)  # type: ignore[arg-type]


def _pair(what: str, ends: object) -> tuple[Any, Any]:
    """Two numbers, whole or not."""
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise TaskError(f"range of {what}: needs a lowest and a highest value, not {ends!r}")
    low, high = ends
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in (low, high)):
        raise TaskError(f"range of {what}: needs two numbers, not {low!r} and {high!r}")
    return low, high


def delays(ranges: Ranges, values: Float[ndarray, "B K"]) -> Int[ndarray, " B"]:
    """The delay of each episode, in whole control steps; zero where none is drawn."""
    if not ranges.delay[1]:
        return np.zeros(len(values), int)
    return np.clip(np.rint(values[:, -1]), 0, ranges.delay[1]).astype(int)
