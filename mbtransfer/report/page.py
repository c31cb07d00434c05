"""The report page: parts, headline and films; a part that fails is replaced by one sentence."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import mbtransfer
from mbtransfer.report import curves, tables
from mbtransfer.report.charts import Figure
from mbtransfer.report.curves import latency_chart
from mbtransfer.report.results_dir import MEDIA, SUMMARY, Material, MissingPart
from mbtransfer.report.sheet import Sheet, policy
from mbtransfer.report.tables import Results, Returns, SuccessRate, best
from mbtransfer.runtime.streams import single_line
from world_models.checkpoint.atomic import listed

T = TypeVar("T")
FigureOf = Callable[[Material], Figure]

LEARNING: list[tuple[str, FigureOf]] = [
    ("Success by labels per head", curves.labels_curve),
    ("Adapting to a new task", curves.adaptation_curve),
    ("Loss of the dynamics", curves.loss_curve),
    ("Error of multi-step predictions", curves.rollout_curve),
]
TRUST: list[tuple[str, FigureOf]] = [
    ("Prediction error by horizon", curves.horizon_error),
    ("Coverage of intervals", curves.coverage_chart),
    ("Disagreement against error", curves.disagreement_chart),
    ("Warning before running", curves.check_warning),
]


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of the page: its value, or None and a sentence that says what is missing."""

    title: str
    value: T | None
    missing: str = ""


def render(material: Material) -> str:
    """The whole page as HTML."""
    sheet = Sheet()
    environment = Environment(
        loader=PackageLoader("mbtransfer.report", ""),
        autoescape=True,
        finalize=on_one_line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "duration": duration,
        "classed": sheet.classed,
    }
    environment.globals |= {"at": sheet.at, "rules": sheet.rules, "policy": policy}
    return environment.get_template("template.html.j2").render(_context(material)) + "\n"


def on_one_line(value: Any) -> Any:
    """Put a value that enters the page on one line; escaping it afterwards is left to the template engine."""
    return single_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _context(material: Material) -> dict[str, Any]:
    found = _part("Success", tables.results, material)
    gathered = _part("Returns", tables.returns, material)
    filmed = _part("Films", lambda m: films(m, *_told(found.value)), material)
    return {
        "name": material.directory.resolve().name,
        "sentence": sentence(material, found.value, gathered.value),
        "tiles": tiles(material, found.value, gathered.value),
        "results": found,
        "returns": gathered.value,
        "split_names": tables.SPLITS,
        "conditions": tables.conditions(material),
        "films": filmed,
        "learning": [_part(title, draw, material) for title, draw in LEARNING],
        "trust": [_part(title, draw, material) for title, draw in TRUST],
        "squares": _part("Reward, predicted against true", curves.squares, material),
        "latency": _part("Time of one decision", curves.latency_chart, material),
        "histogram": _part("Time of one decision", curves.latency_histogram, material),
        "stages": _part("Where the time went", curves.stages, material),
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


def _told(found: tables.Results | None) -> tuple[dict[str, str], set[str]]:
    """The text on success next to the film of each name, and which names are recipes."""
    lines = found.tasks if found else []
    told = {
        line.name: f"{percent(rate.mean)} of {line.episodes} episodes"
        for line in lines
        if (rate := tables.best(line))
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


@dataclass(frozen=True)
class Tile:
    """A number with a label, and a detail such as its interval."""

    number: str
    label: str
    detail: str


def sentence(material: Material, found: Results | None, gathered: Returns | None = None) -> str:
    """One sentence with numbers on what was done; it is shorter if files are missing."""
    if found is None and gathered:
        tasks = f"{len(gathered.tasks)} tasks" if len(gathered.tasks) > 1 else gathered.tasks[0].name
        return f"{_subject(material)} gathers a mean return of {gathered.mean:,.0f} in {tasks}."
    learned = bool(found and any(line.learned for line in found.splits))
    subject = _subject(material) if learned or found is None else "The planner, on the true simulator,"
    if found is None:
        return f"{subject} has not been evaluated yet."
    asked = {"held_out": "held-out tasks", "recipes": "recipes", "user": "your own tasks"}
    solved = [(found.of(split), name) for split, name in asked.items()]
    shares = [f"{percent(rate.mean)} of {name}" for line, name in solved if (rate := best(line))]
    if shares:
        unseen = " that nobody trained it for" if learned else ""
        return f"{subject} solves {_listed(shares)}{unseen}."
    source = best(found.of("source"))
    return f"{subject} solves {percent(source.mean)} of its source tasks." if source else f"{subject} ran."


def tiles(material: Material, found: Results | None, gathered: Returns | None = None) -> list[Tile]:
    """The key numbers that are available."""
    shown: list[Tile] = []
    if gathered:
        shown.append(Tile(f"{gathered.mean:,.0f}", "mean return", f"{len(gathered.tasks)} endless tasks"))
    for split, label in (("held_out", "held-out tasks solved"), ("recipes", "recipes completed")):
        rate = best(found.of(split)) if found else None
        if rate:
            shown.append(Tile(percent(rate.mean), label, f"95% interval {interval(rate)}"))
    learning = learning_seconds(material)
    if learning:
        steps = material.summary.get("transitions")
        detail = f"{steps:,} control steps" if isinstance(steps, int) else ""
        shown.append(Tile(duration(learning), "to collect and learn", detail))
    try:
        times, _ = latency_chart(material)
        detail = f"95% within {times['p95']:.1f} ms"
        shown.append(Tile(f"{times['p50']:.1f} ms", "for one decision", detail))
    except MissingPart:
        pass
    check = material.summary.get("check")
    if isinstance(check, dict) and isinstance(check.get("auroc"), int | float):
        shown.append(Tile(f"{check['auroc']:.2f}", "AUROC of the warning", "1 is perfect, 0.5 is chance"))
    return shown


def percent(share: float, digits: int = 0) -> str:
    """A share in percent; only exact 0 and 1 are written as 0% and 100%."""
    text = f"{100 * share:.{digits}f}"
    if 0 < share < 1 and float(text) in (0, 100):
        text = f"{min(99.9, max(0.1, 100 * share)):.1f}"
    return "100%" if share == 1 else f"{text}%"


def interval(rate: SuccessRate, digits: int = 0) -> str:
    """An interval such as `93–99%`."""
    return f"{100 * rate.low:.{digits}f}–{percent(rate.high, digits)}"


def duration(seconds: float) -> str:
    """A duration in seconds below two minutes, then in minutes, then in hours."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def learning_seconds(material: Material) -> float | None:
    """Wall time of collecting and fitting together, if both are known."""
    given = material.summary.get("wall_seconds")
    if SUMMARY in material.absent or not isinstance(given, dict):
        return None
    parts = [given.get("collect"), given.get("fit")]
    numbers = [float(part) for part in parts if isinstance(part, int | float)]
    return sum(numbers) if len(numbers) == 2 else None


def _subject(material: Material) -> str:
    settings = material.summary.get("settings")
    room = settings.get("env") if isinstance(settings, dict) else None
    subject = f"One model of one {room}" if isinstance(room, str) else "One shared model"
    steps, seconds = material.summary.get("transitions"), learning_seconds(material)
    if not isinstance(steps, int):
        return subject
    return f"{subject}, learned from {steps:,} control steps{f' in {duration(seconds)}' if seconds else ''},"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


LARGEST = 16 * 2**20
"""Maximum size of a film or strip in bytes; larger ones would make the page slow to open."""
KINDS = {
    ".mp4": ("video/mp4", slice(4, 8), b"ftyp"),
    ".png": ("image/png", slice(0, 8), b"\x89PNG\r\n\x1a\n"),
}
"""Media type of each suffix, and the bytes at a given place that identify such a file."""


@dataclass(frozen=True)
class Film:
    """Film and strip of one task or recipe as data URIs, or None; `result` says how often it succeeded."""

    name: str
    result: str
    video: Markup | None
    strip: Markup | None


def films(material: Material, results: dict[str, str], recipes: set[str]) -> tuple[list[Film], list[str]]:
    """The films in `media/`, recipes first, and a sentence for each file left out.

    Args:
        material: the results folder.
        results: text on the success of each name.
        recipes: names of the recipes.
    """
    if MEDIA in material.absent:
        raise MissingPart("This folder has no media: nothing was filmed, or there was no renderer.")
    paths = [path for path in listed(material.directory / MEDIA, "*") if path.suffix in KINDS]
    left_out: list[str] = []
    uris = {path.name: _uri(path, left_out) for path in paths}
    names = sorted({path.stem for path in paths}, key=lambda name: (name not in recipes, name))
    shown = [
        Film(name, results.get(name, ""), uris.get(f"{name}.mp4"), uris.get(f"{name}.png")) for name in names
    ]
    shown = [film for film in shown if film.video or film.strip]
    if not shown and not left_out:
        raise MissingPart("The media folder is empty: nothing was filmed, or there was no renderer.")
    return shown, left_out


def _uri(path: Path, left_out: list[str]) -> Markup | None:
    """The file as a data URI; None, and a sentence in `left_out`, if it cannot be shown."""
    mime, where, magic = KINDS[path.suffix]
    try:
        data = path.read_bytes()
    except OSError as error:
        left_out.append(f"{path.name} is left out: {error.strerror}.")
        return None
    if data[where] != magic:
        left_out.append(f"{path.name} is left out: it is not a finished {path.suffix[1:].upper()} file.")
    elif len(data) > LARGEST:
        left_out.append(f"{path.name} is left out: it is larger than {LARGEST // 2**20} MB.")
    else:
        return Markup(f"data:{mime};base64,") + base64.b64encode(data).decode()
    return None
