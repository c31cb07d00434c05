"""A protocol: everything that a result rests on, in one YAML file that anyone can read."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from mbtransfer.config import CollectConfig, EvaluateConfig, FitConfig, PrepareConfig
from mbtransfer.errors import UserError
from mbtransfer.units import NEED_MODEL, PLANNING, parse_mix
from tasks.spec import nearest

SHIPPED = Path(str(files("mbtransfer.benchmark").joinpath("protocols")))

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
        for what, kind, settings in self._settings():
            known = {one.name for one in fields(kind)}
            for name in settings:
                if name not in known:
                    raise UserError(
                        f"protocol {self.name}: {what} has no setting {name!r}{nearest(name, sorted(known))}"
                    )
        if self.measure not in MEASURES:
            raise UserError(
                f"protocol {self.name}: measure must be {', '.join(MEASURES)}, not {self.measure!r}"
            )
        if "learned" not in self.evaluate:
            raise UserError(f"protocol {self.name}: evaluate needs a way called learned")
        if not self.rounds or needs_model(self.rounds[0]):
            raise UserError(f"protocol {self.name}: the first round must name behaviours that need no model")
        if not self.measured:
            raise UserError(f"protocol {self.name}: nothing to measure; give tasks or recipes")
        if set(self.evaluate) & set(self.stripped):
            raise UserError(f"protocol {self.name}: a way of stripped is called as one of evaluate")
        held = sorted(name for fold in self.folds for name in fold)
        if self.folds and (held != sorted(self.tasks) or self.recipes):
            raise UserError(f"protocol {self.name}: folds must hold every task once, and no recipe")

    @property
    def measured(self) -> tuple[str, ...]:
        """Tasks and recipes."""
        return (*self.tasks, *self.recipes)

    @property
    def basis(self) -> dict[str, Any]:
        """All that results depend on: what is only said about them is left out."""
        return {name: value for name, value in asdict(self).items() if name not in ONLY_TOLD}

    def _settings(self) -> list[tuple[str, type, dict[str, Any]]]:
        asked: list[tuple[str, type, dict[str, Any]]]
        asked = [("collect", CollectConfig, one) for one in self.rounds]
        asked += [("fit", FitConfig, self.between), ("fit", FitConfig, self.fit)]
        asked += [("prepare", PrepareConfig, self.ready), ("prepare", PrepareConfig, self.prepare)]
        ways = (*self.evaluate.values(), *self.stripped.values())
        return [*asked, *(("evaluate", EvaluateConfig, one) for one in ways)]


def plans(settings: Mapping[str, Any]) -> bool:
    """Whether a round collects for the reward of tasks."""
    return _uses(settings, PLANNING)


def needs_model(settings: Mapping[str, Any]) -> bool:
    """Whether a round needs a model."""
    return _uses(settings, NEED_MODEL)


def _uses(settings: Mapping[str, Any], behaviours: tuple[str, ...]) -> bool:
    mix = parse_mix(settings.get("behaviours", ("planner",)))
    return any(mix.get(name, 0) > 0 for name in behaviours)


def shipped_protocols() -> dict[str, Path]:
    """Names and files of the protocols that come with the package."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read_protocol(name: str) -> Protocol:
    """A shipped protocol by its name, or one of the user's own by its file.

    Raises:
        UserError: there is none, or it is wrong.
    """
    shipped = shipped_protocols()
    path = shipped.get(name, Path(name))
    if name not in shipped and path.suffix not in (".yaml", ".yml"):
        raise UserError(f"no protocol {name!r}{nearest(name, list(shipped))}")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return _protocol(path, found)


def _protocol(path: Path, found: Any) -> Protocol:
    if not isinstance(found, dict):
        raise UserError(f"{path} is no protocol: it must hold names and values")
    known = {one.name: one for one in fields(Protocol)}
    for name in found:
        if name not in known:
            raise UserError(f"{path}: unknown entry {name!r}{nearest(str(name), list(known))}")
    for name, one in known.items():
        if name not in found and one.default is MISSING and one.default_factory is MISSING and name != "name":
            raise UserError(f"{path}: {name} is missing")
    try:
        values: dict[str, Any] = {"name": path.stem, **found}
        values |= {name: tuple(values[name]) for name in ("rounds", "tasks", "recipes") if name in values}
        values["folds"] = tuple(tuple(fold) for fold in values.get("folds", ()))
        values["published"] = tuple(_published(**one) for one in values.get("published", ()))
        values |= {name: float(values[name]) for name in ("least", "aim") if name in values}
        return Protocol(**values)
    except UserError:
        raise
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is no protocol: {error}") from error


def _published(what: str, value: float | int, source: str) -> Published:
    return Published(what, float(value), source)
