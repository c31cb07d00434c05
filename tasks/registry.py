"""Environments by name."""

from collections.abc import Callable
from functools import cache

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.spec import nearest


def _kitchen() -> Environment:
    from tasks.kitchen.catalogue import named_tasks
    from tasks.kitchen.scene import make_scene, spec

    return Environment(spec(), named_tasks(), make_scene, cameras=("cook", "side"))


def _franka_kitchen() -> Environment:
    from tasks.franka_kitchen.catalogue import named_tasks
    from tasks.franka_kitchen.scene import make_scene, spec

    return Environment(spec(), named_tasks(), make_scene, cameras=("right_cap", "left_cap"))


_REGISTRY: dict[str, Callable[[], Environment]] = {"kitchen": _kitchen, "franka_kitchen": _franka_kitchen}


def register(name: str, factory: Callable[[], Environment]) -> None:
    """Make an environment known by name.

    Raises:
        TaskError: the name is taken.
    """
    if name in _REGISTRY:
        raise TaskError(f"environment {name!r} is registered already; choose another name")
    _REGISTRY[name] = factory


@cache
def make(name: str) -> Environment:
    """The environment of that name.

    Raises:
        TaskError: there is no such environment; names the nearest one.
    """
    if name not in _REGISTRY:
        raise TaskError(f"no environment {name!r}{nearest(name, list(_REGISTRY))}")
    return _REGISTRY[name]()
