"""The page of a comparison of transfer methods, made of its `summary.json` alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mbtransfer.errors import UserError
from mbtransfer.report import comparison_charts as drawing
from mbtransfer.report.charts import Figure
from mbtransfer.report.comparison_charts import ENDS, PRODUCT, named, once
from mbtransfer.report.page import Part, Tile, duration, on_one_line, percent
from mbtransfer.report.results_dir import SUMMARY, MissingPart
from mbtransfer.report.sheet import Sheet, policy

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Heat:
    """A table of shares, coloured by their size.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: name of each row, and its values; None where there is none.
        best: for each row, the columns that won it.
        foot: a last row of text, or nothing.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]
    best: Sequence[frozenset[int]] = ()
    foot: Sequence[str] = ()


def read_comparison(directory: Path) -> tuple[Summary, str]:
    """The summary of a comparison, and when it was written.

    Raises:
        UserError: there is none, or it is of something else.
    """
    path = directory / SUMMARY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        written = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OSError, ValueError) as error:
        raise UserError(f"no summary of a comparison at {path}: {error}") from error
    if not is_comparison(found):
        raise UserError(f"{path} is no summary of a comparison; `mbtransfer compare` writes one")
    return found, written


def is_comparison(summary: Any) -> bool:
    """Whether a summary is one of `mbtransfer compare`."""
    return isinstance(summary, dict) and {"methods", "by_target", "settings", "versions"} <= summary.keys()


def render_comparison(name: str, summary: Summary, written: str) -> str:
    """The whole page as HTML.

    Args:
        name: of the folder.
        summary: see `mbtransfer.transfer.comparison.summary.whole_summary`.
        written: when the summary was written.
    """
    sheet = Sheet()
    environment = Environment(
        loader=PackageLoader("mbtransfer.report", ""), autoescape=True, finalize=on_one_line, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent,
        "duration": duration,
        "classed": sheet.classed,
        "number": number,
    }
    environment.globals |= {
        "at": sheet.at, "rules": sheet.rules, "policy": policy, "named": named,
        "heat_of": lambda share: sheet.name(heat(share)),
    }  # fmt: skip
    entries = summary["methods"]
    context = {
        "name": name, "written": written, "sentence": sentence(entries), "tiles": tiles(summary),
        "lines": ranked(entries),
        "ends": ENDS, "product": PRODUCT, "settings": summary["settings"],
        "scatter": _part("Success against time", lambda: drawing.time_scatter(entries)),
        "practice": _part("Success against practice", lambda: drawing.practice_chart(entries)),
        "gain": summary["transfer_gain"], "gains": _part("Gain by target", lambda: _gain(summary)),
        "winners": winners(summary), "matrices": [square(one) for one in summary["matrices"]],
        "matrix_seconds": sum(one["seconds"] for one in summary["matrices"]), "streams": summary["streams"],
        "stream_heats": [
            Heat(one["tuning"], one["tasks"], list(zip(one["tasks"], one["success"], strict=True)))
            for one in summary["streams"]
        ],
        "stream_charts": _stream_charts(summary["streams"]), "failed": summary["failed"],
        "versions": {package: version for package, version in summary["versions"].items() if version},
    }  # fmt: skip
    return environment.get_template("comparison.html.j2").render(context) + "\n"


def sentence(entries: Sequence[Mapping[str, Any]]) -> str:
    """One sentence that says which method is best, and at which price."""
    rated = [one for one in once(entries) if one["success_mean"] is not None and one["method"] not in ENDS]
    if not rated:
        return f"{len(once(entries))} ways to carry what was learned were compared."
    top = max(rated, key=lambda one: (one["success_mean"], -one["action_ms"]))
    others = len({one["method"] for one in rated}) - 1
    against = f", the best of {others + 1} methods," if others else ""
    return (
        f"{named(top)}{against} solves {percent(top['success_mean'])} of the episodes of {top['targets']} "
        f"target{'s' if top['targets'] > 1 else ''}, in {number(top['action_ms'], 2)} ms per action."
    )


def ranked(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each method once for each practice that changes something, the most successful first."""

    def place(entry: Mapping[str, Any]) -> float:
        known = (entry["success_mean"], entry["score_mean"])
        return -next((value for value in known if value is not None), float("-inf"))

    return sorted(once(entries), key=place)


def tiles(summary: Summary) -> list[Tile]:
    """The key numbers that are there."""
    entries = once(summary["methods"])
    found = []
    for name, label in ((PRODUCT, "success of the model, zero-shot"), ("oracle", "success of the oracle")):
        one = next(
            (one for one in entries if one["method"] == name and one["success_mean"] is not None), None
        )
        if one:
            low, high = one["success_ci95"]
            found.append(
                Tile(percent(one["success_mean"]), label, f"95% interval {100 * low:.0f}–{percent(high)}")
            )
    rated = [one for one in entries if one["success_mean"] is not None and one["method"] not in ENDS]
    if fast := [one for one in rated if 0 < one["action_ms"] < FAST]:
        top = max(fast, key=lambda one: one["success_mean"])
        found.append(Tile(percent(top["success_mean"]), f"best in under {FAST:g} ms", named(top)))
    if gain := summary["transfer_gain"]:
        detail = f"worst target {100 * gain['min']:+.0f} points"
        found.append(Tile(f"{100 * gain['mean']:+.0f}", "points of success by pooling", detail))
    count = len(summary["failed"])
    detail = f"{count} failed run{'' if count == 1 else 's'}"
    found.append(Tile(duration(summary["training_seconds"]), "of training, all methods", detail))
    return found


FAST = 1.0
"""Milliseconds per action, below which a method serves a fast robot."""


def winners(summary: Summary) -> Heat:
    """Success of each method in each target, and how often it was the best or as good; columns as in `ranked`."""
    entries = summary["methods"]
    kept = [next(at for at, one in enumerate(entries) if one is entry) for entry in ranked(entries)]
    rows, best = list[tuple[str, list[float | None]]](), list[frozenset[int]]()
    for line in summary["by_target"]:
        values = [line["values"][place] for place in kept]
        rivals = {
            column: value for column, value in enumerate(values)
            if value is not None and entries[kept[column]]["method"] not in ENDS
        }  # fmt: skip
        top = max(rivals.values(), default=0.0)
        rows.append((line["target"], values))
        best.append(frozenset(column for column, value in rivals.items() if value == top > 0))
    wins = [sum(column in row for row in best) for column in range(len(kept))]
    foot = ["–" if entries[place]["method"] in ENDS else str(wins[k]) for k, place in enumerate(kept)]
    return Heat("Who wins where", [named(entries[place]) for place in kept], rows, best, foot)


def square(matrix: Mapping[str, Any]) -> Heat:
    """A transfer matrix as a table."""
    rows = list(zip(matrix["tasks"], matrix["success"], strict=True))
    return Heat(matrix["method"], matrix["tasks"], rows)


def heat(share: float | None) -> str:
    """Declarations of a cell: the larger the share, the stronger the colour."""
    if share is None:
        return "color:var(--muted)"
    strength = round(20 * min(max(share, 0.0), 1.0)) * 4
    return f"background:color-mix(in srgb,var(--learned) {strength}%,var(--page))" + (
        ";color:var(--on-strong)" if strength > 50 else ""
    )


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands apart; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _gain(summary: Summary) -> Figure:
    if not summary["transfer_gain"]:
        raise MissingPart("It takes both methods, model and own_model, in one target.")
    return drawing.gain_chart(summary["transfer_gain"])


def _stream_charts(streams: Sequence[Mapping[str, Any]]) -> list[Part[Figure]]:
    made = {
        "performance": (
            "Success on the tasks so far",
            "Mean success on all tasks that have come, after each of them.",
        ),
        "forgotten": (
            "Forgetting over the stream",
            "Mean loss of success since each task was learned. Below zero, later tasks have helped earlier ones.",
        ),
    }

    def chart(what: str, title: str, caption: str) -> Callable[[], Figure]:
        return lambda: drawing.stream_chart(streams, what, title, caption)

    return [_part(title, chart(what, title, caption)) for what, (title, caption) in made.items()]


def _part(title: str, build: Callable[[], Figure]) -> Part[Figure]:
    try:
        return Part(title, build())
    except MissingPart as missing:
        return Part(title, None, str(missing))
