"""What may be wrong with logs: delay of actions, spikes, columns that never change, units that look mistaken.

The delay is where the cross-correlation of actions and changes of the observation begins. Actions that follow each
other smoothly would smear it, so both sides are first filtered with the autoregressive model that whitens the action
(prewhitening; Box and Jenkins, "Time Series Analysis: Forecasting and Control").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data import Dataset
from tasks.spec import Variable

LAGS = 20
"""Longest delay that is looked for, in control steps."""

ORDER = 4
"""Order of the autoregressive model of an action."""

ONSET = 0.5
"""A response has begun where its correlation reaches this share of the strongest one."""

SURE = 4.0
"""Correlations below so many standard errors (1 over the root of the number of steps) are chance, or nearly."""

WEAK = 0.1
"""Correlations below this are too weak to tell a delay, however many steps there are."""

SPIKE = 8.0
"""A value is a spike if it jumps by so many times the 99% quantile of changes, and back in the next step."""

STEPS = 50_000
"""Control steps that stand for all, where there are more."""

DEGREES = 180 / math.pi

LARGEST = {"rad": 4 * math.pi, "m": 50.0}
"""Values beyond which a column of that unit is hardly in it: two turns, and a large hall."""

INSTEAD = {"rad": "degrees", "m": "millimetres"}


@dataclass(frozen=True)
class Delay:
    """After how many control steps an action shows.

    Attributes:
        action: its column.
        column: the column of the observation that it moves most clearly.
        steps: between the action and the first change; 0 if the change is in its own control step.
        correlation: the strongest one.
    """

    action: str
    column: str
    steps: int
    correlation: float


def describe_logs(dataset: Dataset) -> dict[str, Any]:
    """What may be wrong with the episodes of a dataset, in plain values.

    Returns:
        `delays`: of each action that moves something, see `Delay`; `spikes`: how many values per column jump there and
        back; `constant`: columns and actions that never change; `units`: sentences about units that look mistaken.
    """
    header, episodes, steps = dataset.header, list[tuple[ndarray, ndarray]](), 0
    for episode in dataset.episodes():
        episodes.append((episode.obs.astype(np.float64), episode.actions.astype(np.float64)))
        steps += len(episode)
        if steps >= STEPS:
            break
    if not episodes:
        return {"delays": [], "spikes": {}, "constant": [], "units": []}
    found = delays(episodes, header.observation, header.action)
    return {
        "delays": [vars(one) for one in found],
        "spikes": spikes([obs for obs, _ in episodes], header.observation),
        "constant": constant(episodes, header.observation, header.action),
        "units": units(episodes, header.observation, header.action, found),
    }


def delays(
    episodes: Sequence[tuple[ndarray, ndarray]], observation: Sequence[Variable], action: Sequence[Variable]
) -> list[Delay]:
    """The delay of each action that moves a column clearly; actions that move none are left out."""
    found = []
    for a, variable in enumerate(action):
        table = responses(episodes, a)
        if table is None:
            continue
        strength, size = np.abs(table[0]), table[1]
        lag, column = np.unravel_index(int(strength.argmax()), strength.shape)
        peak = float(strength[lag, column])
        if peak < max(WEAK, SURE / math.sqrt(size)):
            continue
        onset = int(np.argmax(strength[:, column] >= ONSET * peak))
        found.append(Delay(variable.name, observation[int(column)].name, onset, float(table[0][lag, column])))
    return found


def responses(
    episodes: Sequence[tuple[ndarray, ndarray]], action: int
) -> tuple[Float[ndarray, "lags O"], int] | None:
    """Cross-correlation of one prewhitened action with the change of each column, 0 to `LAGS` steps later.

    Lag 0 is the change within the action's own control step. Changes beyond three times their 99% quantile are
    clipped to it: a single spike would drown everything else.

    Returns:
        The correlations and the number of steps behind them; None if the action never changes, or episodes are short.
    """
    usable = [(obs, actions[:, action]) for obs, actions in episodes if len(actions) > ORDER + LAGS + 2]
    if not usable:
        return None
    mean = float(np.mean(np.concatenate([asked for _, asked in usable])))
    filters = _whitening([asked - mean for _, asked in usable])
    if filters is None:
        return None
    changes = [np.diff(obs, axis=0) for obs, _ in usable]
    usual = np.quantile(np.abs(np.concatenate(changes)), 0.99, axis=0)
    sides = [
        (
            _filtered((asked - mean)[:, None], filters)[:, 0],
            _filtered(np.clip(change, -3 * usual, 3 * usual), filters),
        )
        for change, (_, asked) in zip(changes, usable, strict=True)
    ]
    spread = np.sqrt(np.mean(np.concatenate([np.square(x) for x, _ in sides])))
    moved = np.concatenate([y for _, y in sides])
    centre, wide = moved.mean(axis=0), moved.std(axis=0)
    if spread < 1e-12:
        return None
    lags = []
    for lag in range(LAGS + 1):
        pairs = [(x[: len(x) - lag], y[lag:] - centre) for x, y in sides]
        count = sum(len(x) for x, _ in pairs)
        total = np.sum([x @ y for x, y in pairs], axis=0)
        lags.append(total / (count * spread * np.where(wide > 1e-12, wide, np.inf)))
    return np.stack(lags), sum(len(x) for x, _ in sides)


def _whitening(series: Sequence[ndarray]) -> Float[ndarray, " taps"] | None:
    """Taps of the filter that makes an action unpredictable from its past; None if it never changes."""
    rows = [np.stack([s[ORDER - k - 1 : len(s) - k - 1] for k in range(ORDER)], axis=1) for s in series]
    past, now = np.concatenate(rows), np.concatenate([s[ORDER:] for s in series])
    if now.std() < 1e-12:
        return None
    ridge = 1e-6 * np.trace(past.T @ past) / ORDER * np.eye(ORDER)
    weights = np.linalg.solve(past.T @ past + ridge, past.T @ now)
    taps: ndarray = np.concatenate([[1.0], -weights])
    return taps


def _filtered(values: Float[ndarray, "T C"], taps: Float[ndarray, " taps"]) -> Float[ndarray, "_ C"]:
    count = len(values) - ORDER
    return np.asarray(sum(tap * values[ORDER - k : ORDER - k + count] for k, tap in enumerate(taps)))


def spikes(series: Sequence[Float[ndarray, "T O"]], columns: Sequence[Variable]) -> dict[str, int]:
    """How many values of each column jump far and come back in the next step; columns without any are left out."""
    usual = np.quantile(np.abs(np.concatenate([np.diff(obs, axis=0) for obs in series])), 0.99, axis=0)
    count = np.zeros(len(columns), int)
    for obs in series:
        change = np.diff(obs, axis=0)
        there, back = change[:-1], change[1:]
        far = (np.abs(there) > SPIKE * usual) & (np.abs(back) > SPIKE * usual) & (there * back < 0)
        count += (far & (usual > 0)).sum(axis=0)
    return {column.name: int(n) for column, n in zip(columns, count, strict=True) if n}


def constant(
    episodes: Sequence[tuple[ndarray, ndarray]], observation: Sequence[Variable], action: Sequence[Variable]
) -> list[str]:
    """Columns and actions with one value throughout."""
    found = []
    for side, columns in enumerate((observation, action)):
        low = np.min([episode[side].min(axis=0) for episode in episodes], axis=0)
        high = np.max([episode[side].max(axis=0) for episode in episodes], axis=0)
        found += [column.name for column, same in zip(columns, low == high, strict=True) if same]
    return found


def units(
    episodes: Sequence[tuple[ndarray, ndarray]], observation: Sequence[Variable], action: Sequence[Variable],
    found: Sequence[Delay] = (),
) -> list[str]:  # fmt: skip
    """Sentences about columns whose values hardly are in the unit that is declared."""
    lines = []
    for side, columns in enumerate((observation, action)):
        values = np.concatenate([episode[side] for episode in episodes])
        for at, column in enumerate(columns):
            line = _unit(column, np.abs(values[:, at]))
            lines += [line] if line else []
    for delay in found:
        line = _ratio(episodes, delay, observation, action)
        lines += [line] if line else []
    return lines


def _unit(column: Variable, size: Float[ndarray, " n"]) -> str:
    largest, outside = LARGEST.get(column.unit, math.inf), max(abs(column.low), abs(column.high))
    typical = float(np.quantile(size, 0.95))
    if typical > largest:
        return f"{column.name} reaches {typical:.4g} {column.unit}; is it in {INSTEAD[column.unit]}?"
    factor = {"rad": DEGREES, "m": 1e3}.get(column.unit)
    if factor and math.isfinite(outside) and 2 * outside < typical <= 1.1 * factor * outside:
        limits = f"{column.low:.3g} to {column.high:.3g} {column.unit}"
        return f"{column.name} reaches {typical:.4g}, its range is {limits}; is it in {INSTEAD[column.unit]}?"
    return ""


def _ratio(
    episodes: Sequence[tuple[ndarray, ndarray]], delay: Delay, observation: Sequence[Variable],
    action: Sequence[Variable],
) -> str:  # fmt: skip
    """Whether an action that is followed by its column is so in other units: degrees and radians."""
    at = [one.name for one in observation].index(delay.column)
    asked = [one.name for one in action].index(delay.action)
    x = np.concatenate([actions[: max(0, len(actions) - delay.steps), asked] for _, actions in episodes])
    y = np.concatenate([obs[1 + delay.steps :, at] for obs, _ in episodes])
    spread = float(x.std()), float(y.std())
    if min(spread) < 1e-12 or abs(float(np.corrcoef(x, y)[0, 1])) < 0.5:
        return ""
    ratio = spread[0] / spread[1]
    if DEGREES / 3 < ratio < DEGREES * 3:
        return f"{delay.action} varies {ratio:.0f} times as much as {delay.column}: degrees for radians?"
    if DEGREES / 3 < 1 / ratio < DEGREES * 3:
        return f"{delay.column} varies {1 / ratio:.0f} times as much as {delay.action}: degrees for radians?"
    return ""
