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


def _control_suite(domain: str) -> Environment:
    from tasks.control_suite.environment import control_suite

    return control_suite(domain)


def _gymnasium(text: str) -> Environment:
    from tasks.gymnasium_env.environment import gymnasium_environment

    return gymnasium_environment(text)


def _metaworld(text: str) -> Environment:
    from tasks.metaworld.environment import metaworld

    return metaworld(text)


def _franka_kitchen() -> Environment:
    from tasks.franka_kitchen.catalogue import named_tasks
    from tasks.franka_kitchen.recorded import RECORDED
    from tasks.franka_kitchen.scene import make_scene, spec

    cameras = ("right_cap", "left_cap")
    return Environment(spec(), named_tasks(), make_scene, cameras=cameras, recorded=RECORDED)


_REGISTRY: dict[str, Callable[[], Environment]] = {"kitchen": _kitchen, "franka_kitchen": _franka_kitchen}
_FAMILIES: dict[str, Callable[[str], Environment]] = {
    "dm_control": _control_suite,
    "gym": _gymnasium,
    "metaworld": _metaworld,
}
"""Environments called FAMILY:NAME."""


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
    family, colon, member = name.partition(":")
    if colon and family in _FAMILIES:
        return _FAMILIES[family](member)
    if name not in _REGISTRY:
        known = [*_REGISTRY, *(f"{one}:NAME" for one in _FAMILIES)]
        raise TaskError(f"no environment {name!r}{nearest(name, known)}")
    return _REGISTRY[name]()
