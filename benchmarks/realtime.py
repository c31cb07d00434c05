"""Success against the speed of the world's clock: `python -m benchmarks.realtime --model MODEL`.

The world does not wait for the planner (see `mbtransfer.mpc.late_agent`). Decisions take as long as on this machine, or
as `--latency-ms` says; at speed s a decision takes s times as many control steps. `frozen` waits.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mbtransfer.config import ClockFlags
from mbtransfer.errors import USER_ERRORS
from mbtransfer.evaluation.clock import with_clock
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.statistics import bootstrap_interval
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.runtime.files import replacing, write_json
from mbtransfer.runtime.terminal import Terminal

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def measured(
    settings: EvalConfig, split: str, episodes: int, speeds: Sequence[float], clock: ClockFlags, workers: int
) -> list[dict[str, Any]]:
    """Success with a frozen world, and at each speed with and without compensation of the delay."""
    context = settings.resolve()
    asked = select_tasks(context.environment, tasks=(), recipes=(), split=split, own=())
    runs = make_runs(asked, (0,), episodes)
    # Measured once, so that all speeds have the same latencies.
    latencies = with_clock(context, clock, asked).config.latencies_ms
    timed = replace(settings, latencies_ms=latencies, measured=clock.latency_ms is None)
    ways = [replace(settings, latencies_ms=())]
    ways += [
        replace(timed, clock_speed=speed, compensate=made_up)
        for made_up in (True, False)
        for speed in speeds
    ]  # fmt: skip
    found = []
    for one in ways:
        rows = evaluate_runs(one, runs, workers=workers, console=Terminal())
        controller = one.resolve().controller
        low, high = bootstrap_interval(rows)
        found.append(
            {
                "planner": one.planner, "speed": one.clock_speed if one.latencies_ms else None,
                "compensate": one.compensate, "latency_ms": float(np.median(latencies)),
                "delays": sorted(set(controller.clock.delays)) if controller.clock else [0],
                "success": float(rows["success"].mean()), "low": low, "high": high, "episodes": len(rows),
            }
        )  # fmt: skip
        print(as_row(found[-1]), flush=True)
    return found


def as_row(one: dict[str, Any]) -> str:
    """A line of the table."""
    late = " to ".join(str(end) for end in dict.fromkeys((one["delays"][0], one["delays"][-1])))
    speed = "frozen" if one["speed"] is None else f"{one['speed']:g}"
    way = "" if one["speed"] is None else "compensated" if one["compensate"] else "not compensated"
    return f"| {speed} | {way} | {late} | {one['success']:.3f} | {one['low']:.3f} to {one['high']:.3f} |"


def drawn(found: Sequence[dict[str, Any]]) -> Figure:
    """Success against speed."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    frozen = found[0]["success"]
    axes.axhline(frozen, color="0.4", linestyle=":", label="frozen world")
    for made_up, name, colour in ((True, "delay compensated", "C0"), (False, "not compensated", "C1")):
        some = [one for one in found if one["speed"] is not None and one["compensate"] is made_up]
        speeds = [one["speed"] for one in some]
        axes.plot(speeds, [one["success"] for one in some], "o-", color=colour, label=name)
        axes.fill_between(
            speeds, [one["low"] for one in some], [one["high"] for one in some], color=colour, alpha=0.15, linewidth=0
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks([one["speed"] for one in found if one["speed"] is not None and one["compensate"]])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="speed of the world's clock", ylabel="success", ylim=(-0.03, 1.03))
    axes.set_title(f"{found[0]['planner']}, {found[0]['latency_ms']:.0f} ms per decision")
    axes.legend(frameon=False)
    return figure


def main() -> int:
    """Measure, print, draw, and write if asked to; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realtime", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--split", default="held_out", choices=["source", "held_out", "recipes", "all"])
    parser.add_argument("--planner", default=EvalConfig.planner, help=f"planner ({EvalConfig.planner})")
    parser.add_argument("--speeds", type=float, nargs="+", default=SPEEDS, help="of the clock (0.25 to 16)")
    parser.add_argument("--latency-ms", type=float, help="of a decision (measured)")
    parser.add_argument("--extra-latency-ms", type=float, default=0.0, help="on top (0)")
    parser.add_argument("--episodes", type=int, default=5, help="per task (5)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--plot", type=Path, help="PNG file for the curve")
    asked = parser.parse_args()
    clock = ClockFlags(clock="realtime", latency_ms=asked.latency_ms, extra_latency_ms=asked.extra_latency_ms)
    try:
        settings = EvalConfig(model=str(asked.model), planner=asked.planner)
        print("| speed | delay | control steps | success | 95% |\n|---|---|---|---|---|")
        found = measured(settings, asked.split, asked.episodes, asked.speeds, clock, asked.workers)
        if asked.json:
            write_json(asked.json, found)
        if asked.plot:
            with replacing(asked.plot) as temporary:
                drawn(found).savefig(temporary, format="png", dpi=140)
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
