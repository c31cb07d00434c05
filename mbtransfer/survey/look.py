"""One look at a dataset: whole counts from all of it, distributions and rewards from a sample."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbtransfer.dataset import Dataset, Transitions
from mbtransfer.fit_data import coverage
from mbtransfer.survey.rewards import paid, task_rewards
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.registry import make

SAMPLE = 50_000
"""Control steps that stand for all, where there are more."""

QUANTILES = {"5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95}


@dataclass(frozen=True)
class Look:
    """What was found, in plain values, and the sample behind it (None in an empty dataset)."""

    found: dict[str, Any]
    sample: Transitions | None


def look(dataset: Dataset) -> Look:
    """Describe a dataset as `Dataset.info` does, and further.

    Added are `digest`; `sample`, the number of control steps behind what follows; `quantiles` of each column;
    `fixtures` (`moved`: share of the control steps in which it moved; `parts`: movements in each of twenty equal
    parts of its range; `range_moved`: share of those parts in which it moved at all); `rewards` by task (`mean`,
    `max`, `success`); and `paid`, the rewards that came with the episodes. Fixtures and tasks are known of our own
    environments only.

    Raises:
        UserError: a shard was removed while it was read.
    """
    found = dataset.info() | {
        "digest": dataset.digest,
        "sample": 0,
        "fixtures": {},
        "rewards": {},
        "paid": None,
    }
    if not len(dataset):
        return Look(found, None)
    sample = _sample(dataset)
    found["sample"], found["paid"] = len(sample), paid(dataset)
    for side, values in (("observation", sample.obs), ("action", sample.actions)):
        levels = np.quantile(values, list(QUANTILES.values()), axis=0)
        for column, at in zip(found[side].values(), levels.T, strict=True):
            column["quantiles"] = dict(zip(QUANTILES, at.tolist(), strict=True))
    environment = _environment(dataset)
    if environment is not None:
        found["fixtures"] = _fixtures(dataset, environment)
        found["rewards"] = task_rewards(environment.tasks.values(), sample)
    return Look(found, sample)


def _sample(dataset: Dataset) -> Transitions:
    if dataset.steps <= SAMPLE:
        return dataset.transitions()
    rows = np.random.default_rng(0).choice(dataset.steps, SAMPLE, replace=False)
    return dataset.take(np.sort(rows))


def _environment(dataset: Dataset) -> Environment | None:
    """The environment, if it is one of ours and has these columns; none that is a program of the user's."""
    if re.match(r"\w+:.*(:|\.py)", dataset.header.env):
        return None
    try:
        found = make(dataset.header.env)
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
