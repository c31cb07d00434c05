"""From rows with times to episodes at a control rate.

The rule of resampling: at each control step's instant the last value logged at or before it counts. Where rows already
come once per control step they are taken as they are. A gap in time ends an episode, and what follows begins another.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import assemble, to_float32
from mbtransfer.errors import UserError

SAME = 0.1
"""Rows come once per control step if their typical distance differs from it by no more than this share."""

GAP = 1.5
"""Two rows further apart than this many control steps have a gap between them."""

UNEVEN = 0.2
"""Share of gaps from which on a log has two rates, not gaps."""

SLACK = 1e-6
"""Share of a control step by which an instant may miss the row that it falls on: times are rounded."""


@dataclass(frozen=True, eq=False)
class LogTable:
    """Rows of one recorded episode, n of them, in the environment's columns and units.

    Attributes:
        name: what messages call it.
        times: seconds, rising.
        obs: observations.
        actions: what was asked of the robot from each row on.
        behaviour: who acted, or what for.
        seed: number of the episode.
        rewards: of each row; None where nobody paid.
    """

    name: str
    times: Float[ndarray, " n"]
    obs: Float[ndarray, "n O"]
    actions: Float[ndarray, "n A"]
    behaviour: str
    seed: int
    rewards: Float[ndarray, " n"] | None = None


@dataclass
class LogNotes:
    """What a log was like: filled while it is read.

    Attributes:
        source: the log's name.
        control_dt: seconds per control step.
        recorded: episodes in the log.
        rows: rows in it.
        unreadable: rows left out because a value was missing or not finite.
        gaps: gaps in time.
        missing: control steps that fell into them.
        longest: seconds of the longest one.
        period: typical seconds between rows; the median over episodes.
        resampled: whether rows came more often than control steps.
        unused: columns and other parts of the log that were left out.
    """

    source: str
    control_dt: float
    recorded: int = 0
    rows: int = 0
    unreadable: int = 0
    gaps: int = 0
    missing: int = 0
    longest: float = 0.0
    period: float = 0.0
    resampled: bool = False
    unused: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """In words."""
        rate = f"rows every {self.period:.4g} s, control steps of {self.control_dt:.4g} s"
        rule = "; the last row before each step's instant counts" if self.resampled else ""
        found = [f"{self.source}: {self.recorded:,} episodes, {self.rows:,} rows; {rate}{rule}"]
        if self.gaps:
            found.append(
                f"gaps in time: {self.gaps:,}, the longest {self.longest:.3g} s, {self.missing:,} control steps in "
                "all: episodes were cut there"
            )
        if self.unreadable:
            found.append(
                f"{self.unreadable:,} rows lack a value or have one that is not finite; they were left out"
            )
        if self.unused:
            shown = ", ".join(self.unused[:12]) + (", ..." if len(self.unused) > 12 else "")
            found.append(f"left out: {shown}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """In plain values."""
        return dict(vars(self))


def log_episodes(tables: Callable[[], Iterable[LogTable]], notes: LogNotes) -> Iterator[Episode]:
    """All episodes of a log at `notes.control_dt`, in the order of the tables; `notes` are written anew.

    Raises:
        UserError: times that do not rise, rows rarer than control steps, or two rates.
    """
    found = LogNotes(notes.source, notes.control_dt, unused=notes.unused)
    periods, number = list[float](), 0
    for table in tables():
        sound = (
            np.isfinite(table.times)
            & np.isfinite(table.obs).all(axis=1)
            & np.isfinite(table.actions).all(axis=1)
        )
        found.recorded, found.rows = found.recorded + 1, found.rows + len(sound)
        found.unreadable += int((~sound).sum())
        rows = np.flatnonzero(sound)
        if len(rows) < 2:
            continue
        times = table.times[rows]
        _check_order(table, times, rows)
        every = np.diff(times)
        period = float(np.median(every))
        periods.append(period)
        _check_rate(table.name, every, period, found.control_dt)
        gaps = every > GAP * found.control_dt
        found.gaps += int(gaps.sum())
        found.missing += int((np.round(every[gaps] / found.control_dt) - 1).sum())
        found.longest = max(found.longest, float(every[gaps].max(initial=0.0)))
        resampled = period < (1 - SAME) * found.control_dt
        found.resampled |= resampled
        for piece in np.split(rows, np.flatnonzero(gaps) + 1):
            chosen = last_before(table.times, piece, found.control_dt) if resampled else piece
            episode = _episode(table, chosen, number) if len(chosen) > 1 else None
            if episode is not None:
                number += 1
                yield episode
    found.period = float(np.median(periods)) if periods else 0.0
    vars(notes).update(vars(found))


def last_before(
    times: Float[ndarray, " n"], rows: Int[ndarray, " m"], control_dt: float
) -> Int[ndarray, " k"]:
    """The last of some rows at or before each instant, one control step apart, from the first row on."""
    own = times[rows]
    count = int((own[-1] - own[0]) / control_dt + SLACK) + 1
    instants = own[0] + control_dt * (np.arange(count) + SLACK)
    return rows[np.searchsorted(own, instants, side="right") - 1]


def _episode(table: LogTable, rows: Int[ndarray, " k"], number: int) -> Episode | None:
    return assemble(
        table.name, to_float32(table.obs[rows]), table.actions[rows], behaviour=table.behaviour, seed=number,
        terminated=False, rewards=None if table.rewards is None else table.rewards[rows],
    )  # fmt: skip


def _check_order(table: LogTable, times: Float[ndarray, " n"], rows: Int[ndarray, " n"]) -> None:
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        at = int(late[0])
        raise UserError(
            f"{table.name}: times must rise, but row {rows[at + 1] + 1} is at {times[at + 1]:.6g} s "
            f"after {times[at]:.6g} s"
        )


def _check_rate(name: str, every: Float[ndarray, " n"], period: float, control_dt: float) -> None:
    if period > (1 + SAME) * control_dt:
        raise UserError(
            f"{name}: rows come every {period:.4g} s, less often than control steps of {control_dt:.4g} s; "
            f"declare a control_step of {period:.4g} or more"
        )
    gaps = every > GAP * control_dt
    if gaps.mean() > UNEVEN:
        slow = float(np.median(every[gaps]))
        raise UserError(
            f"{name} has two rates: rows every {period:.4g} s and every {slow:.4g} s, and control steps are "
            f"{control_dt:.4g} s; declare a control_step of {slow:.4g} or split the log"
        )
