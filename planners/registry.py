"""Planners by name."""

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from planners.base import Bounds, Planner
from planners.cem import CEM, CEMConfig
from planners.errors import PlannerError
from planners.icem import ICEM, ICEMConfig
from planners.mppi import MPPI, MPPIConfig
from planners.random_shooting import RandomShooting, RandomShootingConfig

PLANNERS: dict[str, tuple[Any, Any]] = {
    "mppi": (MPPI, MPPIConfig),
    "icem": (ICEM, ICEMConfig),
    "cem": (CEM, CEMConfig),
    "random_shooting": (RandomShooting, RandomShootingConfig),
}
"""Name to planner and its settings."""


def make_planner(name: str, bounds: Bounds, settings: Mapping[str, int | float] | None = None) -> Planner:
    """The planner of that name, its defaults replaced by `settings`.

    Raises:
        PlannerError: no such planner or setting, or a setting below its least value.
    """
    if name not in PLANNERS:
        close = get_close_matches(name, PLANNERS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(PLANNERS)}"
        raise PlannerError(f"no planner {name!r}; {hint}")
    planner, config = PLANNERS[name]
    known = [field.name for field in fields(config)]
    for key, value in (settings or {}).items():
        if key not in known:
            raise PlannerError(f"planner {name} has no setting {key!r}; it has {', '.join(known)}")
        if not value >= (0.0 if isinstance(getattr(config, key), float) else 1):
            raise PlannerError(f"planner {name}: {key} cannot be {value}")
    made: Planner = planner(replace(config(), **(settings or {})), bounds)
    return made
