"""How long things take: one decision, and each stage of the run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mbtransfer.report import figure
from mbtransfer.report.figure import Figure
from mbtransfer.report.material import ROWS, SUMMARY, Material, MissingPart
from mbtransfer.statistics import summarise_decisions, told_of_decisions, told_of_divergence

QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True)
class Stage:
    """Wall time of one stage: name, seconds, and its share of the longest stage for the bar."""

    name: str
    seconds: float
    share: float


def latency(material: Material) -> tuple[dict[str, float], str]:
    """Quantiles of the time of one decision in milliseconds, and where they come from."""
    given = material.summary.get("plan_ms")
    if isinstance(given, dict) and all(isinstance(given.get(name), int | float) for name in QUANTILES):
        return {name: float(given[name]) for name in QUANTILES}, "over single decisions"
    times = _episode_times(material)
    return {name: float(np.percentile(times, int(name[1:]))) for name in QUANTILES}, "over episodes' means"


def latency_histogram(material: Material) -> Figure:
    """Histogram of the mean decision time of each episode."""
    rows = _decided(material)
    times = np.asarray(rows["plan_ms"])
    with figure.axes() as on:
        on.hist(times, bins=min(40, max(5, len(times) // 8)), color=figure.LEARNED, alpha=0.85, rwidth=0.92)
        on.set(xlabel="mean time of one decision in an episode, ms", ylabel="episodes")
        on.set_xlim(left=0)
        svg = figure.drawn(on, "Histogram of mean decision time by episode")
    caption = (
        f"Each of {len(times):,} episodes counts once, with its mean. Narrow and far to the left is good; "
        "a long tail would make a robot stutter."
    )
    caption = " ".join([caption, *told_of_decisions(summarise_decisions(rows))])
    caption = " ".join([caption, *told_of_divergence(int(rows["diverged"].sum()))])
    return Figure("Time of one decision", caption, svg)


def stages(material: Material) -> list[Stage]:
    """Wall time per stage, in the order they ran."""
    given: Any = material.part(SUMMARY, "wall_seconds")
    if not isinstance(given, dict):
        raise MissingPart("wall_seconds in summary.json is not a table of stages.")
    seconds = {str(name): float(value) for name, value in given.items() if isinstance(value, int | float)}
    longest = max(seconds.values(), default=0.0)
    if longest <= 0:
        raise MissingPart("wall_seconds in summary.json holds no stages.")
    return [Stage(name, value, value / longest) for name, value in seconds.items()]


def _episode_times(material: Material) -> np.ndarray:
    return np.asarray(_decided(material)["plan_ms"])


def _decided(material: Material) -> pd.DataFrame:
    """The episodes whose decisions were timed."""
    learned = material.headline("learned")
    rows = material.headline("oracle") if learned.empty else learned
    if not (rows["plan_ms"] > 0).any():
        raise MissingPart(f"{ROWS} holds no decision times.")
    return rows[rows["plan_ms"] > 0]
