"""Registry of planners by name."""

import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from planners.base import Bounds, Planner
from planners.cem import CEM
from planners.errors import PlannerError
from planners.gradient import Gradient, Hybrid
from planners.icem import ICEM
from planners.mppi import MPPI
from planners.random_shooting import RandomShooting
from planners.sampling import SamplingPlanner

PLANNERS: dict[str, type[SamplingPlanner]] = {
    "mppi": MPPI,
    "icem": ICEM,
    "cem": CEM,
    "gradient": Gradient,
    "hybrid": Hybrid,
    "random_shooting": RandomShooting,
}
"""Planners by name."""

PLUGINS = "mbtransfer.planners"
"""Entry points of this group in installed distributions are planners, too."""

Registered = TypeVar("Registered", bound=type[SamplingPlanner])

_LIMIT = {"elites": "candidates", "knots": "horizon", "refined": "elites"}
"""A setting that may not exceed another."""


def register_planner(name: str) -> Callable[[Registered], Registered]:
    """Decorator that makes a planner known by name.

    Raises:
        PlannerError: there is another planner of that name.
    """

    def register(planner: Registered) -> Registered:
        if PLANNERS.setdefault(name, planner) is not planner:
            raise PlannerError(f"there is a planner {name!r} already; choose another name")
        return planner

    return register


def find_planner(name: str) -> type[SamplingPlanner]:
    """The class of a planner.

    Args:
        name: of a built-in, registered or installed planner, or `FILE.py:CLASS`, which runs that file.

    Raises:
        PlannerError: there is none, or it is not a planner.
    """
    path, colon, member = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), member)
    if name in PLANNERS:
        return PLANNERS[name]
    plugins = entry_points(group=PLUGINS)
    if name in plugins.names:
        return _checked_class(
            _run(plugins[name].load, f"planner {name!r}"), f"the entry point {plugins[name].value}"
        )
    known = [*PLANNERS, *plugins.names]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}, FILE.py:CLASS"
    raise PlannerError(f"no planner {name!r}; {hint}")


def make_planner(name: str, bounds: Bounds, settings: Mapping[str, int | float] | None = None) -> Planner:
    """The planner of that name, its defaults replaced by `settings`.

    Raises:
        PlannerError: no such planner or setting, or a setting out of its range or above another that limits it.
    """
    planner = find_planner(name)
    config = planner.config_type
    known = [field.name for field in fields(config)]
    for key in settings or {}:
        if key not in known:
            raise PlannerError(f"planner {name} has no setting {key!r}; it has {', '.join(known)}")
    try:
        chosen = TypeAdapter(config).validate_python(dict(settings or {}))
    except ValidationError as error:
        wrong = error.errors()[0]
        must = f"{wrong['msg'][:1].lower()}{wrong['msg'][1:]}".replace("input should", "it should")
        raise PlannerError(f"planner {name}: {wrong['loc'][0]} cannot be {wrong['input']}; {must}") from error
    for key, limit in _LIMIT.items():
        if key in known and getattr(chosen, key) > getattr(chosen, limit):
            if key not in (settings or {}):  # a default gives way
                chosen = replace(chosen, **{key: getattr(chosen, limit)})
                continue
            raise PlannerError(
                f"planner {name}: {key} cannot be {getattr(chosen, key)} "
                f"with {limit} {getattr(chosen, limit)}; it is at most that"
            )
    return planner(chosen, bounds)


def _from_file(path: Path, member: str) -> type[SamplingPlanner]:
    """A class of a Python file, which is run once.

    Raises:
        PlannerError: there is no such file or class, or the file fails.
    """
    where = path.resolve()
    module_name = f"mbtransfer_planner_{where.stem}_{zlib.crc32(str(where).encode()):08x}"
    if module_name not in sys.modules:
        spec = spec_from_file_location(module_name, where)
        if not where.is_file() or spec is None or spec.loader is None:
            raise PlannerError(f"there is no file {path}")
        module = sys.modules[module_name] = module_from_spec(spec)
        try:
            _run(lambda: spec.loader.exec_module(module), str(path))  # type: ignore[union-attr]
        except PlannerError:
            del sys.modules[module_name]
            raise
    return _checked_class(getattr(sys.modules[module_name], member, None), f"{member} in {path}")


def _run(load: Callable[[], Any], what: str) -> Any:
    try:
        return load()
    except Exception as error:  # the author's own
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise PlannerError(f"{what} cannot be loaded: {said}") from error


def _checked_class(found: Any, what: str) -> type[SamplingPlanner]:
    if not (isinstance(found, type) and issubclass(found, SamplingPlanner) and hasattr(found, "config_type")):
        raise PlannerError(f"{what} is not a planner: a subclass of SamplingPlanner with a config_type")
    return found
