"""Charts of a comparison of transfer methods, of what `mbtransfer.transfer.comparison.summary` gives."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from mbtransfer.report import charts
from mbtransfer.report.charts import Figure
from mbtransfer.report.results_dir import MissingPart

Entry = Mapping[str, Any]

ENDS = ("random", "oracle")
"""What bounds the score and competes with nobody."""

PRODUCT = "model"
"""The method that everything else in mbtransfer is."""

WIDE = (7.6, 4.4)
MARKERS = "osD^vP*X"
LABEL = 9.5
"""Size of names beside points, in points."""


def once(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without the repetitions of those without practice."""
    first = min((entry["practice"] for entry in entries), default=0)
    return [entry for entry in entries if not entry["without_practice"] or entry["practice"] == first]


def named(entry: Entry) -> str:
    """The name of an entry, with its practice if it had some."""
    practised = entry["practice"] and not entry["without_practice"]
    return f"{entry['method']} · {entry['practice']}" if practised else str(entry["method"])


def time_scatter(entries: Sequence[Entry]) -> Figure:
    """Success against milliseconds per action, of each method with the most practice.

    Raises:
        MissingPart: no method has a success.
    """
    rated = [one for one in once(entries) if one["success_mean"] is not None and one["action_ms"]]
    shown = {one["method"]: one for one in rated}.values()  # entries are in the order of practice
    if not shown:
        raise MissingPart("No method has run in a task that can succeed.")
    with charts.axes(WIDE) as on:
        for entry in shown:
            x, y, colour = entry["action_ms"], entry["success_mean"], _colour(entry["method"])
            on.vlines(x, *entry["success_ci95"], color=colour, alpha=0.25, lw=5)
            on.plot(x, y, "D" if entry["method"] in ENDS else "o", color=colour, zorder=3)
        on.set(xscale="log", xlabel="milliseconds per action, one robot")
        on.margins(x=0.08)
        low, high = on.get_xlim()
        on.set_xlim(low, high * (high / low) ** 0.22)  # names stand to the right of their points
        charts.percent_axis(on)
        charts.plain_logarithms(on.xaxis)
        _label(on, [(one["action_ms"], one["success_mean"], named(one)) for one in shown])
        svg = charts.drawn(on, "Success of each method by milliseconds per action")
    caption = (
        "Up and to the left is better. Bars are 95% intervals of the mean over targets; a number after a name is its "
        "practice, the most there is."
    )
    return Figure("Success against time", caption, svg)


def practice_chart(entries: Sequence[Entry]) -> Figure:
    """Success against steps taken in the target.

    Raises:
        MissingPart: no method has practised.
    """
    curves = dict[str, list[Entry]]()
    for entry in entries:
        if not entry["without_practice"] and entry["success_mean"] is not None:
            curves.setdefault(entry["method"], []).append(entry)
    curves = {name: line for name, line in curves.items() if any(one["practice"] for one in line)}
    if not curves:
        raise MissingPart("No method has practised in the targets; ask for some with --practice 0 1 5.")
    counts = sorted({one["practice"] for line in curves.values() for one in line})
    steps = max(1, *(one["steps"] for line in curves.values() for one in line))
    with charts.axes(WIDE) as on:
        for number, line in enumerate(curves.values()):
            colour = (charts.LEARNED, charts.WARM, charts.INK, charts.MUTED)[number % 4]
            x, y = [one["steps"] for one in line], [one["success_mean"] for one in line]
            low, high = zip(*(one["success_ci95"] for one in line), strict=True)
            on.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
            on.plot(x, y, f"{MARKERS[number % len(MARKERS)]}-", color=colour)
        flat = [
            one
            for one in once(entries)
            if one["method"] in (PRODUCT, "oracle") and one["success_mean"] is not None
        ]
        for one in flat:
            on.hlines(one["success_mean"], 0, steps, color=_colour(one["method"]), lw=1.4, ls="--")
        charts.percent_axis(on)
        on.set_xlim(-0.03 * steps, 1.42 * steps)
        on.set(xlabel="steps in the target before it is measured")
        _label(on, [
            *((line[-1]["steps"], line[-1]["success_mean"], name) for name, line in curves.items()),
            *((steps, one["success_mean"], f"{one['method']}, without practice") for one in flat),
        ])  # fmt: skip
        svg = charts.drawn(on, "Success of methods that practise by steps in the target")
    caption = f"Practice of {listed(counts)} episodes per target, with 95% intervals. Dashed lines take no step there."
    return Figure("Success against practice", caption, svg)


def gain_chart(gain: Mapping[str, Any]) -> Figure:
    """What pooling adds to each target, worst first."""
    lines = gain["targets"]
    with charts.axes((charts.SIZE[0], 1.1 + 0.27 * len(lines))) as on:
        on.axvline(0, color=charts.MUTED, lw=1.2)
        for row, line in enumerate(lines):
            colour = charts.WARM if line["gain"] < 0 else charts.LEARNED
            on.hlines(row, *line["gain_ci95"], color=colour, alpha=0.3, lw=5)
            on.plot(line["gain"], row, "o", color=colour)
        on.set_yticks(range(len(lines)), [line["target"].replace("_", " ") for line in lines])
        on.set_ylim(len(lines) - 0.5, -0.5)
        on.set_xlim(-1.05, 1.05)
        on.set(xlabel="success gained by pooling (negative: lost)")
        svg = charts.drawn(on, "Gain of success by pooling in each target")
    caption = (
        "Success of the model of the whole pool minus success of a model of one task's share of it, on the same "
        "episodes. Bands are Newcombe's 95% intervals: where they are wide, only more episodes can tell."
    )
    return Figure("Gain by target", caption, svg)


def stream_chart(streams: Sequence[Mapping[str, Any]], what: str, title: str, caption: str) -> Figure:
    """A curve over the stream for each way to learn: `performance` or `forgotten`.

    Raises:
        MissingPart: there is no stream.
    """
    if not streams:
        raise MissingPart("No stream was run; ask for it with --matrix.")
    with charts.axes() as on:
        for number, one in enumerate(streams):
            colour, values = (charts.LEARNED, charts.WARM)[number % 2], one[what]
            on.plot(
                range(1, len(values) + 1), values, f"{MARKERS[number]}-", color=colour, label=one["tuning"]
            )
        charts.percent_axis(on)
        if what == "forgotten":
            lowest = min(0.0, *(value for one in streams for value in one[what]))
            on.set_ylim(lowest - 0.05, 1.05)
            on.axhline(0, color=charts.MUTED, lw=1.2)
        charts.whole_numbers(on)
        on.set(xlabel="tasks learned so far")
        charts.legend_above(on)
        svg = charts.drawn(on, title)
    return Figure(title, caption, svg)


def listed(values: Sequence[Any]) -> str:
    """Some values in words, such as `0, 1 and 5`."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _colour(method: str) -> str:
    return charts.LEARNED if method == PRODUCT else charts.ORACLE if method in ENDS else charts.WARM


def _label(on: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names to the right of points, moved up or down where one would cover another; a line leads there then.

    Greedy, from the highest point down: each takes the free place that is nearest to its point.
    """
    figure = on.figure
    assert isinstance(figure, Canvas), "`axes` makes no nested figures"
    figure.draw_without_rendering()  # so that the axes are where they will be
    tall, taken = LABEL * 1.25 * figure.dpi / 72, list[tuple[float, float, float]]()
    dots = [on.transData.transform((x, y)) for x, y, _ in points]
    for number in sorted(range(len(points)), key=lambda number: (-points[number][1], points[number][0])):
        (x, y, text), (at, level) = points[number], dots[number]
        left = at + 9
        wide = 0.6 * LABEL * figure.dpi / 72 * len(text)
        places = (level + sign * step * tall / 4 for step in range(400) for sign in (1, -1))
        centre = next(
            place
            for place in places
            if all(
                left + wide < start or end < left or abs(place - other) >= tall for start, end, other in taken
            )
            and not any(left - 4 < dot < left + wide and abs(place - high) < 0.7 * tall for dot, high in dots)
        )
        taken.append((left, left + wide, centre))
        moved = abs(centre - level) > 0.3 * tall
        on.annotate(
            text, (x, y), ((left - at) * 72 / figure.dpi, (centre - level) * 72 / figure.dpi),
            textcoords="offset points", va="center", fontsize=LABEL, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": charts.MUTED, "lw": 0.6, "shrinkB": 3} if moved else None,
        )  # fmt: skip
