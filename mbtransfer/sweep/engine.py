"""W&B's own search (`sweeps` on PyPI): what to try next, and which trial to stop early."""

import random
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from mbtransfer.errors import UserError

if TYPE_CHECKING:
    from mbtransfer.sweep.trial import Trial

DRAWS = 50
"""Draws in search of parameters that were not tried yet."""


def problems(content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a sweep file, in the words of its schema."""
    with _sweeps():
        from sweeps.config import schema_violations_from_proposed_config

        try:
            return [" ".join(text.split()) for text in schema_violations_from_proposed_config(dict(content))]
        except (ValueError, TypeError, AttributeError, KeyError, AssertionError) as error:
            return [str(error)]


def propose(content: Mapping[str, Any], trials: "Sequence[Trial]", seed: int) -> dict[str, Any] | None:
    """Parameters of the next trial, decided by the trials so far and the seed; None when all were tried.

    Raises:
        UserError: the file asks for what W&B's search cannot do.
    """
    known = [trial.params for trial in trials]
    with _sweeps(zlib.crc32(f"{seed} {len(trials)}".encode())):
        from sweeps import next_run

        runs = [_run(trial) for trial in trials]
        for _ in range(DRAWS):
            try:
                found = next_run(dict(content), runs, validate=True)
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                raise UserError(f"the sweep cannot be searched: {' '.join(str(error).split())}") from error
            if found is None:
                return None
            params = {name: _plain(one["value"]) for name, one in found.config.items()}
            if params not in known:
                return params
    return None


def stops(content: Mapping[str, Any], trials: "Sequence[Trial]") -> bool:
    """Whether the last trial, which is running, does too badly to go on (Hyperband)."""
    with _sweeps():
        from sweeps import stop_runs

        runs = [_run(trial) for trial in trials]
        return any(run.name == trials[-1].name for run in stop_runs(dict(content), runs, validate=True))


def best(content: Mapping[str, Any], trial: "Trial") -> float | None:
    """The best value of the metric that a trial has had, as W&B sees it; None if it has had none."""
    goal = content["metric"].get("goal", "minimize")
    with _sweeps():
        try:
            return float(_run(trial).metric_extremum(content["metric"]["name"], goal))
        except ValueError:
            return None


def _run(trial: "Trial") -> Any:
    """As W&B's search sees a trial. Its names in JSON are the ones that every version takes."""
    from sweeps import SweepRun

    state = {"finished": "finished", "stopped": "killed", "failed": "failed"}.get(trial.state, "running")
    config = {name: {"value": value} for name, value in trial.params.items()}
    return SweepRun(
        name=trial.name,
        state=state,
        config=config,
        summaryMetrics=trial.figures,
        sampledHistory=trial.history,
    )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


@contextmanager
def _sweeps(seed: int | None = None) -> Iterator[None]:
    """Use the library: it warns of itself, and draws from the global generators, which stay as they were.

    Raises:
        UserError: it is not installed.
    """
    if find_spec("sweeps") is None:
        raise UserError("a sweep needs an extra: pip install 'mbtransfer[sweeps]'")
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])
