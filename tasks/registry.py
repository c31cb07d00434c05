"""Registry of environments by name."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tasks.environment import COPY, Environment
from tasks.errors import TaskError
from tasks.spec import nearest
from tasks.trusted_code import check_recorded_name

PLUGINS = "mbtransfer.environments"
"""Entry points by which an installed distribution brings environments: name = "module:factory"."""


def _kitchen() -> Environment:
    from tasks.kitchen.scene import make_scene, spec
    from tasks.kitchen.tasks import named_tasks

    return Environment(spec(), named_tasks(), make_scene, cameras=("cook", "side"))


def _control_suite(domain: str) -> Environment:
    from tasks.control_suite.suite import check_installed

    check_installed()
    from tasks.control_suite.environment import control_suite

    return control_suite(domain)


def _gymnasium(text: str) -> Environment:
    from tasks.gymnasium_env.environment import gymnasium_environment

    return gymnasium_environment(text)


def _metaworld(text: str) -> Environment:
    from tasks.metaworld.environment import metaworld

    return metaworld(text)


def _ogbench(text: str) -> Environment:
    from tasks.ogbench.environment import ogbench

    return ogbench(text)


def _franka_kitchen() -> Environment:
    from tasks.franka_kitchen.scene import make_scene, spec
    from tasks.franka_kitchen.spec import RECORDED
    from tasks.franka_kitchen.tasks import named_tasks

    cameras = ("right_cap", "left_cap")
    return Environment(spec(), named_tasks(), make_scene, cameras=cameras, recorded=RECORDED)


_REGISTRY: dict[str, Callable[[], Environment]] = {"kitchen": _kitchen, "franka_kitchen": _franka_kitchen}


def _variant(text: str, copy: Path | None = None) -> Environment:
    from tasks.variant_file import read_variant

    file, name = read_variant(text, copy)
    try:
        base = make(file.env)
    except TaskError as error:
        file.blame_environment(error)
    return file.environment(name, base)


def _logged(text: str, copy: Path | None = None) -> Environment:
    from tasks.logged.environment import logged_environment

    return logged_environment(text, copy)


_FAMILIES: dict[str, Callable[[str], Environment]] = {
    "dm_control": _control_suite,
    "file": _logged,
    "gym": _gymnasium,
    "metaworld": _metaworld,
    "ogbench": _ogbench,
    "variant": _variant,
}
"""Environments called FAMILY:NAME."""
_MADE: set[str] = set()
"""Names of the environments that were made in this process."""


def register(name: str, factory: Callable[[], Environment]) -> None:
    """Make an environment known by name.

    Raises:
        TaskError: the name is taken.
    """
    if name in _REGISTRY:
        raise TaskError(f"environment {name!r} is registered already; choose another name")
    _REGISTRY[name] = factory


def make_recorded(name: str, source: str, *, trust_code: bool = False) -> Environment:
    """The environment that a file names, which is data and runs no code; see `tasks.trusted_code`.

    What the caller has made by the same name in this process is there already and needs no trust.

    Args:
        name: what the file says.
        source: what messages call the file; of a folder, it may hold a copy of a declaration that is not where it was.
        trust_code: let it name a Python file or module, which then runs.

    Raises:
        TaskError: there is no such environment, or it would run code that is not trusted.
    """
    if name not in _MADE:
        copy = Path(source) / COPY
        check_recorded_name(name, source, trust_code=trust_code, copy=copy)
        family, _, member = name.partition(":")
        if family == "file" and not Path(member).exists():
            return _logged(member, copy)
        if family == "variant" and not Path(member.rpartition(":")[0]).exists():
            return _variant(member, copy)
    return make(name)


@cache
def make(name: str) -> Environment:
    """The environment of that name, which the caller or the command line gives: it may run a program of theirs.

    For a name that was read from a file see `make_recorded`.

    Raises:
        TaskError: there is no such environment; names the nearest one.
    """
    made = _make(name)
    _MADE.add(name)
    return made


def _make(name: str) -> Environment:
    family, colon, member = name.partition(":")
    if colon and family in _FAMILIES:
        return _FAMILIES[family](member)
    if name in _REGISTRY:
        return _REGISTRY[name]()
    plugins = entry_points(group=PLUGINS)
    if name in plugins.names:
        return _plugin(plugins[name])
    known = [*_REGISTRY, *plugins.names, *(f"{one}:NAME" for one in _FAMILIES)]
    raise TaskError(f"no environment {name!r}{nearest(name, known)}")


def _plugin(entry: EntryPoint) -> Environment:
    """The environment of an installed distribution.

    Raises:
        TaskError: it cannot be imported or made, or it made something else.
    """
    try:
        made = entry.load()()
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise TaskError(
            f"environment {entry.name!r} of the entry point {entry.value} raised {said}"
        ) from error
    if not isinstance(made, Environment) or made.spec.name != entry.name:
        raise TaskError(f"the entry point {entry.value} made no Environment called {entry.name!r}")
    return made
