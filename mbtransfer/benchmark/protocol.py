"""A protocol: everything that a result rests on, in one YAML file that anyone can read."""

from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from mbtransfer.config import CollectConfig, EvaluateConfig, FitConfig, PrepareConfig
from mbtransfer.errors import UserError
from tasks.spec import nearest

SHIPPED = Path(str(files("mbtransfer.benchmark").joinpath("protocols")))


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
        rounds: settings of `collect`, one after the other; from the second on with the model of the round before.
        between: settings of `fit` between rounds.
        ready: settings of `prepare` between rounds; none leaves it out.
        fit: settings of the last `fit`.
        prepare: settings of `prepare`; none leaves it out.
        evaluate: settings of `evaluate` under each name of a way to act; `learned` is the result.
        tasks: what is measured.
        measure: `return` or `success`.
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
    tasks: tuple[str, ...]
    measure: str
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
        if self.measure not in ("return", "success"):
            raise UserError(f"protocol {self.name}: measure must be return or success, not {self.measure!r}")
        if "learned" not in self.evaluate:
            raise UserError(f"protocol {self.name}: evaluate needs a way called learned")

    def _settings(self) -> list[tuple[str, type, dict[str, Any]]]:
        asked: list[tuple[str, type, dict[str, Any]]]
        asked = [("collect", CollectConfig, one) for one in self.rounds]
        asked += [("fit", FitConfig, self.between), ("fit", FitConfig, self.fit)]
        asked += [("prepare", PrepareConfig, self.ready), ("prepare", PrepareConfig, self.prepare)]
        return [*asked, *(("evaluate", EvaluateConfig, one) for one in self.evaluate.values())]


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
        values |= {name: tuple(values[name]) for name in ("rounds", "tasks")}
        values["published"] = tuple(_published(**one) for one in values.get("published", ()))
        values |= {name: float(values[name]) for name in ("least", "aim") if name in values}
        return Protocol(**values)
    except UserError:
        raise
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is no protocol: {error}") from error


def _published(what: str, value: float | int, source: str) -> Published:
    return Published(what, float(value), source)
