"""Which episodes judge a model: held out of its training, one half to calibrate on, the other to test."""

from typing import NamedTuple

import torch

from mbtransfer.dataset import Dataset, Pool
from mbtransfer.errors import UserError
from world_models.transitions import Segments

SHARE = 0.05
"""Share of a dataset's episodes that `fit` holds out."""

HORIZON = 12
"""Control steps of a stretch: as far as the longest default plan."""

STRETCHES = 1500


class Halves(NamedTuple):
    """Held-out episodes, split by episode: no stretch of the one half is of an episode of the other."""

    calibration: Pool
    test: Pool | None
    """None where a single episode was held out; it calibrates."""


def halves(held_out: Pool) -> Halves:
    """Split held-out episodes in two, each episode's side drawn from its key and place alone."""
    whole = held_out.where(lambda record: record.steps > 0)
    return Halves(*whole.split(0.5, seed=1)) if len(whole) > 1 else Halves(whole, None)


def held_out_halves(dataset: Dataset) -> tuple[Pool, Pool]:
    """To calibrate and to test on: the halves of what `fit` holds out of a dataset.

    Raises:
        UserError: too few episodes to hold two out.
    """
    calibration, test = halves(dataset.split(SHARE, seed=0)[1])
    if test is None:
        raise UserError(f"{dataset.path}: of {len(dataset)} episodes too few are held out; collect more")
    return calibration, test


def stretches(pool: Pool, seed: int, horizon: int = HORIZON, count: int = STRETCHES) -> Segments:
    """At most `count` stretches of episodes; shorter than `horizon` where no episode is so long.

    Raises:
        UserError: no episode has a control step.
    """
    episodes = [(torch.tensor(e.obs), torch.tensor(e.actions)) for e in pool.episodes() if len(e)]
    longest = max((len(actions) for _, actions in episodes), default=0)
    if not longest:
        raise UserError(f"{pool.name} holds no control steps to judge a model by; collect some")
    return Segments.cut(episodes, min(horizon, longest), count, torch.Generator().manual_seed(seed))
