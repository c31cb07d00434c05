"""Statistics of a dataset: distributions of columns and rewards of named tasks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data import Dataset, TransitionArrays
from mbtransfer.data.coverage import coverage
from mbtransfer.data.log_notes import read_notes
from mbtransfer.data.log_quality import describe_logs
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.registry import make_recorded
from tasks.task import Task

SAMPLE = 50_000
"""Control steps that stand for all, where there are more."""

QUANTILES = {"5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95}


@dataclass(frozen=True)
class DatasetSummary:
    """What was found, in plain values, and the sample behind it (None in an empty dataset)."""

    found: dict[str, Any]
    sample: TransitionArrays | None


def describe_dataset(dataset: Dataset, *, trust_code: bool = False) -> DatasetSummary:
    """Describe a dataset as `Dataset.info` does, and further.

    Added are `digest`; `sample`, the number of control steps behind what follows; `quantiles` of each column;
    `fixtures` (`moved`: share of the control steps in which it moved; `parts`: movements in each of twenty equal
    parts of its range; `range_moved`: share of those parts in which it moved at all); `rewards` by task (`mean`,
    `max`, `success`); `paid`, the rewards that came with the episodes; `logs`, what imported logs were like; and
    `quality` of what no simulator of ours made, see `mbtransfer.data.log_quality.describe_logs`.

    Fixtures and tasks are known of our own environments only; one that is a Python file or module counts as such if
    `trust_code` lets it run.

    Raises:
        UserError: a shard was removed while it was read.
    """
    found = dataset.info() | {
        "digest": dataset.digest,
        "sample": 0,
        "fixtures": {},
        "rewards": {},
        "paid": None,
        "logs": [],
        "quality": None,
    }
    if not len(dataset):
        return DatasetSummary(found, None)
    sample = _sample(dataset)
    found["sample"], found["paid"] = len(sample), recorded_rewards(dataset)
    for side, values in (("observation", sample.obs), ("action", sample.actions)):
        levels = np.quantile(values, list(QUANTILES.values()), axis=0)
        for column, at in zip(found[side].values(), levels.T, strict=True):
            column["quantiles"] = dict(zip(QUANTILES, at.tolist(), strict=True))
    environment = _environment(dataset, trust_code)
    found["logs"] = read_notes(dataset.path)
    if found["logs"] or environment is None or not environment.simulated:
        found["quality"] = describe_logs(dataset)
    if environment is not None:
        found["fixtures"] = _fixtures(dataset, environment)
        found["rewards"] = task_rewards(environment.tasks.values(), sample)
    return DatasetSummary(found, sample)


def _sample(dataset: Dataset) -> TransitionArrays:
    if dataset.steps <= SAMPLE:
        return dataset.transitions()
    rows = np.random.default_rng(0).choice(dataset.steps, SAMPLE, replace=False)
    return dataset.take(np.sort(rows))


def _environment(dataset: Dataset, trust_code: bool) -> Environment | None:
    """The environment, if it is known, may be run, and has these columns."""
    try:
        found = make_recorded(dataset.header.env, str(dataset.path), trust_code=trust_code)
    except TaskError:
        return None
    names = [
        [column.name for column in columns]
        for columns in (dataset.header.observation, found.spec.observation)
    ]
    return found if names[0] == names[1] else None


def _fixtures(dataset: Dataset, environment: Environment) -> dict[str, Any]:
    moves = coverage(environment.spec, dataset).moves
    return {
        name: {
            "moved": sum(parts) / dataset.steps,
            "range_moved": sum(n > 0 for n in parts) / len(parts),
            "parts": list(parts),
        }
        for name, parts in moves.items()
    }


JUDGED = 2000
"""Control steps of the sample that are shown to a task judged by states: the simulator is asked about each."""


def task_rewards(tasks: Iterable[Task], sample: TransitionArrays) -> dict[str, Any]:
    """Mean and highest reward of each task, and the share of control steps that end in success; None in endless tasks.

    Tasks that the simulator's state judges see observations widened by it; without state they are left out.
    """
    plain = [torch.from_numpy(part) for part in (sample.obs, sample.actions, sample.next_obs)]
    some = np.linspace(0, len(sample) - 1, min(len(sample), JUDGED)).astype(int)
    sides = (sample.obs, sample.state), (sample.next_obs, sample.next_state)
    before, after = (_widened(obs[some], state[some]) for obs, state in sides)
    wide = [before, plain[1][some], after]
    found = {}
    for task in tasks:
        if task.privileged and not sample.state.shape[1]:
            continue
        obs, actions, next_obs = wide if task.privileged else plain
        with torch.no_grad():
            rewards, success = task.reward(obs, actions, next_obs), task.success(next_obs)
        mean, highest = float(rewards.double().mean()), float(rewards.max())
        found[task.name] = {
            "split": task.split,
            "mean": mean,
            "max": highest,
            "success": None if task.continuing else float(success.double().mean()),
        }
    return found


def recorded_rewards(dataset: Dataset) -> dict[str, Any] | None:
    """Mean and highest of the rewards that came with the episodes, and the mean return; None without rewards."""
    returns, steps, highest = list[float](), 0, -np.inf
    for episode in dataset.episodes():
        if episode.rewards is not None:
            returns.append(float(episode.rewards.sum()))
            steps, highest = steps + len(episode), max(highest, float(episode.rewards.max()))
    if not returns:
        return None
    total = float(np.sum(returns))
    return {
        "episodes": len(returns),
        "mean": total / steps,
        "max": highest,
        "return_mean": total / len(returns),
    }


def _widened(obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> torch.Tensor:
    """As `Simulator.witness` does."""
    return torch.from_numpy(np.concatenate([obs.astype(np.float64), state], axis=1))
