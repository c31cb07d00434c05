"""The clock of an evaluation: a world that waits for decisions, or one that goes on while the robot plans."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mbtransfer.config import ClockFlags
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.evaluation.episodes import decision_times
from tasks.recipe.recipe import Recipe
from tasks.task import Task


def with_clock(context: EvalContext, flags: ClockFlags, asked: Sequence[Task | Recipe]) -> EvalContext:
    """The context in which episodes run by the clock that the flags ask for.

    Latencies that are not given are measured here and now, of one robot in the first task or recipe.

    Raises:
        UserError: latencies for a world that waits, two kinds of latency, or a trace that cannot be read.
    """
    given = [name for name in ("latency_ms", "latency_trace") if getattr(flags, name) is not None]
    if flags.clock == "frozen":
        if given or flags.extra_latency_ms or flags.clock_speed != 1.0:
            name = given[0] if given else "extra_latency_ms" if flags.extra_latency_ms else "clock_speed"
            raise UserError(
                f"--{name.replace('_', '-')} needs --clock realtime; a frozen world waits for decisions"
            )
        return context
    if len(given) == 2:
        raise UserError("--latency-ms and --latency-trace both say how long decisions take; give one of them")
    if flags.latency_trace is not None:
        latencies = read_trace(flags.latency_trace)
    elif flags.latency_ms is not None:
        latencies = (flags.latency_ms,)
    else:
        latencies = tuple(decision_times(context.controller, asked[0]))
    config = replace(
        context.config, latencies_ms=tuple(ms + flags.extra_latency_ms for ms in latencies), measured=not given,
        clock_speed=flags.clock_speed, compensate=flags.compensate,
    )  # fmt: skip
    return replace(
        context, config=config, controller=config.make_controller(context.environment, context.model)
    )


def read_trace(path: Path) -> tuple[float, ...]:
    """Read a latency per line, in milliseconds; empty lines do not count.

    Raises:
        UserError: no such file, none in it, or a line that is no latency.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--latency-trace {path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            latency = float(line)
        except ValueError:
            latency = math.nan
        if not 0 <= latency < math.inf:
            raise UserError(f"{path}, line {number}: {line.strip()[:40]!r} is no latency in milliseconds")
        found.append(latency)
    if not found:
        raise UserError(f"--latency-trace {path} is empty; it needs a latency in milliseconds per line")
    return tuple(found)


def clock_note(context: EvalContext) -> str:
    """The clock, in a sentence; empty if the world waits."""
    config, clock = context.config, context.controller.clock
    if clock is None:
        return ""
    low, high = min(clock.delays), max(clock.delays)
    late = f"{low}" if low == high else f"{low} to {high}"
    how = "measured" if config.measured else "given"
    made_up = "compensated" if clock.compensate else "not compensated"
    return (
        f"clock: real time x {config.clock_speed:g}; decisions take {np.median(config.latencies_ms):.3g} ms ({how}), "
        f"so that plans act {late} control steps late, {made_up}"
    )
