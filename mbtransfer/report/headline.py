"""The first thing a reader sees: one sentence, and the few numbers that carry it."""

from dataclasses import dataclass

from mbtransfer.report.material import SUMMARY, Material, MissingPart
from mbtransfer.report.returns import Returns
from mbtransfer.report.speed import latency
from mbtransfer.report.success import Rate, Results, best


@dataclass(frozen=True)
class Tile:
    """A number with what it counts, and a second line such as its interval."""

    number: str
    label: str
    detail: str


def sentence(material: Material, found: Results | None, gathered: Returns | None = None) -> str:
    """What was done, in one sentence with numbers; shorter where files are missing."""
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
    """The key numbers at hand, at most five."""
    shown: list[Tile] = []
    if gathered:
        shown.append(
            Tile(f"{gathered.mean:,.0f}", "mean return", f"{len(gathered.tasks)} tasks without an end")
        )
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
        times, _ = latency(material)
        detail = f"95% within {times['p95']:.1f} ms"
        shown.append(Tile(f"{times['p50']:.1f} ms", "for one decision", detail))
    except MissingPart:
        pass
    check = material.summary.get("check")
    if isinstance(check, dict) and isinstance(check.get("auroc"), int | float):
        shown.append(Tile(f"{check['auroc']:.2f}", "AUROC of the warning", "1 is perfect, 0.5 is chance"))
    return shown


def percent(share: float, digits: int = 0) -> str:
    """A share as percent; what is not quite all or nothing is never rounded to 100% or 0%."""
    text = f"{100 * share:.{digits}f}"
    if 0 < share < 1 and float(text) in (0, 100):
        text = f"{min(99.9, max(0.1, 100 * share)):.1f}"
    return "100%" if share == 1 else f"{text}%"


def interval(rate: Rate, digits: int = 0) -> str:
    """`93–99%`."""
    return f"{100 * rate.low:.{digits}f}–{percent(rate.high, digits)}"


def duration(seconds: float) -> str:
    """Seconds below two minutes, then minutes, then hours."""
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
