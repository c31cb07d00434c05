"""A protocol: all settings of a published result in one YAML file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from mbtransfer.collection.jobs import NEED_MODEL, REWARDED, parse_mix
from mbtransfer.config import COMMANDS
from mbtransfer.errors import UserError
from mbtransfer.runtime.yaml_file import read_yaml
from mbtransfer.validation import validated
from tasks.spec import nearest
from tasks.trusted_code import check_recorded_name

SHIPPED = Path(str(files("mbtransfer.protocols").joinpath("shipped")))

MEASURES = {"return": "return_", "success": "success", "done": "done"}
"""What can be measured, and the column that holds it."""

ONLY_TOLD = ("about", "least", "aim", "published")
"""What a protocol says beside how results come about."""


@dataclass(frozen=True)
class Published:
    """A figure of others, and where it is from."""

    what: str
    value: float
    source: str


@dataclass(frozen=True)
class Protocol:
    """How a result comes about. Settings are the flags of the commands of that name.

    Attributes:
        name: of the protocol.
        about: what is measured, in a sentence.
        env: the environment.
        rounds: settings of `collect`, one after the other; where one needs a model, it is fitted before it.
        between: settings of `fit` between rounds.
        ready: settings of `prepare` between rounds; none leaves it out.
        fit: settings of the last `fit`.
        prepare: settings of `prepare`; none leaves it out.
        evaluate: settings of `evaluate` under each name of a way to act; `learned` is the result.
        stripped: likewise, with a model of the same pool from which every movement of what the measured tasks move
            was taken.
        tasks: what is measured.
        recipes: what is measured besides.
        folds: groups of the tasks. Each is held out in turn: data are collected for all other source tasks, by
            themselves, and the group is measured. None: one pool, for what the rounds name.
        measure: `return`, `success`, or `done`, the share of a recipe's steps.
        least: what the mean should reach at least.
        aim: what it is hoped to reach.
        published: figures of others.
    """

    name: str
    about: str
    env: str
    rounds: tuple[dict[str, Any], ...]
    fit: dict[str, Any]
    evaluate: dict[str, dict[str, Any]]
    measure: str
    tasks: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    folds: tuple[tuple[str, ...], ...] = ()
    stripped: dict[str, dict[str, Any]] = field(default_factory=dict)
    between: dict[str, Any] = field(default_factory=dict)
    ready: dict[str, Any] = field(default_factory=dict)
    prepare: dict[str, Any] = field(default_factory=dict)
    least: float | None = None
    aim: float | None = None
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        for command, settings in self.settings():
            configured(command, NEEDED[command], settings)
        if self.measure not in MEASURES:
            raise UserError(f"measure must be {', '.join(MEASURES)}, not {self.measure!r}")
        if "learned" not in self.evaluate:
            raise UserError("evaluate needs a way called learned")
        if not self.rounds or needs_model(self.rounds[0]):
            raise UserError("the first round must name behaviours that need no model")
        if not self.measured:
            raise UserError("nothing to measure; give tasks or recipes")
        if set(self.evaluate) & set(self.stripped):
            raise UserError("a way of stripped is called as one of evaluate")
        held = sorted(name for fold in self.folds for name in fold)
        if self.folds and (held != sorted(self.tasks) or self.recipes):
            raise UserError("folds must hold every task once, and no recipe")

    @property
    def measured(self) -> tuple[str, ...]:
        """Tasks and recipes."""
        return (*self.tasks, *self.recipes)

    @property
    def basis(self) -> dict[str, Any]:
        """All that results depend on: what is only said about them is left out."""
        return {name: value for name, value in asdict(self).items() if name not in ONLY_TOLD}

    def settings(self) -> list[tuple[str, dict[str, Any]]]:
        """The settings of every command, each with its name."""
        asked = [("collect", one) for one in self.rounds] + [("fit", self.between), ("fit", self.fit)]
        asked += [("prepare", self.ready), ("prepare", self.prepare)]
        return asked + [("evaluate", one) for one in (*self.evaluate.values(), *self.stripped.values())]


def plans(settings: Mapping[str, Any]) -> bool:
    """Whether a round collects for the reward of tasks."""
    return _uses(settings, REWARDED)


def needs_model(settings: Mapping[str, Any]) -> bool:
    """Whether a round needs a model."""
    return _uses(settings, NEED_MODEL)


def uses_prepared(settings: Mapping[str, Any]) -> bool:
    """Whether a round acts by what `prepare` trains: for tasks, or for goals that are commands."""
    return _uses(settings, (*REWARDED, "goals"))


def _uses(settings: Mapping[str, Any], behaviours: tuple[str, ...]) -> bool:
    mix = parse_mix(settings.get("behaviours", ("planner",)))
    return any(mix.get(name, 0) > 0 for name in behaviours)


def shipped_protocols() -> dict[str, Path]:
    """Names and files of the protocols that come with the package."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read_protocol(name: str, *, trust_code: bool = False) -> Protocol:
    """A shipped protocol by its name, or one of the user's own by its file.

    Args:
        name: of the protocol, or its YAML file.
        trust_code: let it name Python files; see `tasks.trusted_code`.

    Raises:
        UserError: there is none, it is wrong, or it names Python code that is not trusted.
        TaskError: its environment would run code that is not trusted.
    """
    shipped = shipped_protocols()
    path = shipped.get(name, Path(name))
    if name not in shipped and path.suffix not in (".yaml", ".yml"):
        raise UserError(f"no protocol {name!r}{nearest(name, list(shipped))}")
    protocol = _protocol(path, read_yaml(path))
    for settings in ({"env": protocol.env}, *(own for _, own in protocol.settings())):
        check_recorded_settings(settings, str(path), trust_code=trust_code)
    return protocol


def _protocol(path: Path, found: Any) -> Protocol:
    if not isinstance(found, dict):
        raise UserError(f"{path} is no protocol: it must hold names and values")
    try:
        return validated(Protocol, {"name": path.stem, **found})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no protocol: {' '.join(str(error).split())}") from error


NEEDED: Mapping[str, Mapping[str, object]] = {
    "collect": {"out": Path("x")},
    "fit": {"data": Path("x"), "out": Path("x")},
    "prepare": {"model": Path("x")},
    "evaluate": {"model": Path("x")},
}
"""What a protocol never says, because it follows from the folder; here to check the rest alone."""


def configured(command: str, *settings: Mapping[str, Any]) -> Any:
    """The settings of a command, later ones first.

    Args:
        command: its name.
        settings: values by the name of their flag, as YAML has them.

    Raises:
        UserError: no such flag, or a value that it cannot have.
    """
    merged = {str(name).replace("-", "_"): value for some in settings for name, value in some.items()}
    return validated(COMMANDS[command], merged, about=f"{command}: ")


def check_recorded_settings(settings: Mapping[str, Any], source: str, *, trust_code: bool = False) -> None:
    """Refuse settings from a file that would run Python code, unless that is trusted.

    Args:
        settings: values by the name of their flag, with `-` or `_`.
        source: what messages call the file.
        trust_code: the user trusts it.

    Raises:
        UserError: a task file or a planner's file is named, or the file grants trust to itself.
        TaskError: the environment's name would run code.
    """
    for name, value in settings.items():
        flag = str(name).replace("_", "-").removeprefix("no-")
        for one in value if isinstance(value, list | tuple) else [value]:
            if flag == "trust-code":
                raise UserError(f"{source} sets trust-code; only the command line can")
            if flag == "env":
                check_recorded_name(str(one), source, trust_code=trust_code)
            elif not trust_code and (flag == "task-file" or (flag == "planner" and ":" in str(one))):
                raise UserError(
                    f"{source} names Python code, {flag} {str(one)!r}, which was not run; "
                    "if you trust it, add --trust-code"
                )
