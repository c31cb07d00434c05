"""Puts the parts together: each is tried, and one that fails leaves its sentence instead."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

import mbtransfer
from mbtransfer.report import films, headline, intervals, learning, returns, reward, speed, success, trust
from mbtransfer.report.figure import Figure
from mbtransfer.report.material import SUMMARY, Material, MissingPart

T = TypeVar("T")
FigureOf = Callable[[Material], Figure]

LEARNING: list[tuple[str, FigureOf]] = [
    ("Success by labels per head", learning.labels_curve),
    ("Adapting to a new task", learning.adaptation_curve),
    ("Loss of the dynamics", learning.loss_curve),
    ("Error of whole predictions", learning.rollout_curve),
]
TRUST: list[tuple[str, FigureOf]] = [
    ("Prediction error by horizon", trust.horizon_error),
    ("Coverage of intervals", intervals.coverage),
    ("Disagreement against error", trust.disagreement),
    ("Warning before running", trust.check_warning),
]


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of the page: its value, or None and the sentence that says what is missing."""

    title: str
    value: T | None
    missing: str = ""


def render(material: Material) -> str:
    """The whole page as HTML."""
    environment = Environment(
        loader=PackageLoader("mbtransfer.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": headline.percent,
        "interval": headline.interval,
        "duration": headline.duration,
    }
    return environment.get_template("template.html.j2").render(_context(material)) + "\n"


def _context(material: Material) -> dict[str, Any]:
    found = _part("Success", success.results, material)
    gathered = _part("Returns", returns.returns, material)
    filmed = _part("Films", lambda m: films.films(m, *_told(found.value)), material)
    return {
        "name": material.directory.resolve().name,
        "sentence": headline.sentence(material, found.value, gathered.value),
        "tiles": headline.tiles(material, found.value, gathered.value),
        "results": found,
        "returns": gathered.value,
        "split_names": success.SPLITS,
        "conditions": success.conditions(material),
        "films": filmed,
        "learning": [_part(title, draw, material) for title, draw in LEARNING],
        "trust": [_part(title, draw, material) for title, draw in TRUST],
        "squares": _part("Reward, predicted against true", reward.squares, material),
        "latency": _part("Time of one decision", speed.latency, material),
        "histogram": _part("Time of one decision", speed.latency_histogram, material),
        "stages": _part("Where the time went", speed.stages, material),
        "settings": _part("Settings", _settings, material),
        "written": material.written,
        "version": mbtransfer.__version__,
        "folder": material.directory.as_posix(),
    }


def _part(title: str, build: Callable[[Material], T], material: Material) -> Part[T]:
    try:
        return Part(title, build(material))
    except MissingPart as missing:
        return Part(title, None, str(missing))


def _told(found: success.Results | None) -> tuple[dict[str, str], set[str]]:
    """Per name what to say of its success beside its film, and which names are recipes."""
    lines = found.tasks if found else []
    told = {
        line.name: f"{headline.percent(rate.mean)} of {line.episodes} episodes"
        for line in lines
        if (rate := success.best(line))
    }
    return told, {line.name for line in lines if line.split == "recipes"}


def _settings(material: Material) -> list[tuple[str, str]]:
    given = material.part(SUMMARY, "settings")
    return list(_flat("", given))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names, in their order."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
