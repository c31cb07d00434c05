"""Planners by name."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from planners.base import Bounds, Planner
from planners.cem import CEM, CEMConfig
from planners.errors import PlannerError
from planners.gradient import Gradient, GradientConfig
from planners.hybrid import Hybrid, HybridConfig
from planners.icem import ICEM, ICEMConfig
from planners.mppi import MPPI, MPPIConfig
from planners.random_shooting import RandomShooting, RandomShootingConfig

PLANNERS: dict[str, tuple[Any, Any]] = {
    "mppi": (MPPI, MPPIConfig),
    "icem": (ICEM, ICEMConfig),
    "cem": (CEM, CEMConfig),
    "gradient": (Gradient, GradientConfig),
    "hybrid": (Hybrid, HybridConfig),
    "random_shooting": (RandomShooting, RandomShootingConfig),
}
"""Name to planner and its settings."""

_RANGE = {
    "elites": (2.0, math.inf),
    "ess": (0.0, 1.0),
    "keep": (0.0, 1.0),
    "knots": (0.0, math.inf),
    "momentum": (0.0, 1.0),
    "rate": (1e-6, math.inf),
    "shrink": (1.0, math.inf),
    "temperature": (1e-6, math.inf),
}
"""Least and most of a setting; else whole numbers begin at 1 and others at 0."""

_LIMIT = {"elites": "candidates", "knots": "horizon", "refined": "elites"}
"""A setting that may not exceed another."""


def make_planner(name: str, bounds: Bounds, settings: Mapping[str, int | float] | None = None) -> Planner:
    """The planner of that name, its defaults replaced by `settings`.

    Raises:
        PlannerError: no such planner or setting, or a setting out of its range or above another that limits it.
    """
    if name not in PLANNERS:
        close = get_close_matches(name, PLANNERS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(PLANNERS)}"
        raise PlannerError(f"no planner {name!r}; {hint}")
    planner, config = PLANNERS[name]
    defaults = config()
    known = [field.name for field in fields(config)]
    given: dict[str, int | float] = {}
    for key, value in (settings or {}).items():
        if key not in known:
            raise PlannerError(f"planner {name} has no setting {key!r}; it has {', '.join(known)}")
        given[key] = _checked(name, key, value, type(getattr(defaults, key)))
    chosen = replace(defaults, **given)
    for key, limit in _LIMIT.items():
        if key in known and getattr(chosen, key) > getattr(chosen, limit):
            raise PlannerError(
                f"planner {name}: {key} cannot be {getattr(chosen, key)} "
                f"with {limit} {getattr(chosen, limit)}; it is at most that"
            )
    made: Planner = planner(chosen, bounds)
    return made


def _checked(name: str, key: str, value: int | float, kind: type[int] | type[float]) -> int | float:
    """A setting as the type that its default has."""
    least, most = _RANGE.get(key, (0.0 if kind is float else 1.0, math.inf))
    if not (math.isfinite(value) and least <= value <= most and kind(value) == value):
        number = "a whole number" if kind is int else "a number"
        upto = f" to {most:g}" if most < math.inf else " or more"
        raise PlannerError(f"planner {name}: {key} cannot be {value}; it is {number}, {least:g}{upto}")
    return kind(value)
