"""Ablated datasets: a copy without the movements of chosen fixtures."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from mbtransfer.data.dataset import Dataset
from mbtransfer.data.episode import Episode
from mbtransfer.data.pool import Pool
from mbtransfer.data.shards import Shard
from tasks.spec import Fixture

STILL = 0.001
"""A fixture stands still when it moves by less than this share of its range in a control step."""


def strip(pool: Pool, fixtures: Sequence[Fixture], out: Dataset) -> int:
    """Copy every stretch of episodes in which the fixtures stand still; again adds nothing.

    Args:
        pool: where to take from.
        fixtures: what must not move.
        out: the dataset to append to, one shard for each of the pool's.

    Returns:
        How many control steps were left out.

    Raises:
        UserError: the dataset cannot be written.
    """
    kept = 0
    for shard, chosen in pool.parts:
        stretches = [one for index in chosen for one in still_stretches(shard.episode(index), fixtures)]
        if stretches:
            out.append(stretches, _key(shard, fixtures))
            kept += sum(map(len, stretches))
    return pool.steps - kept


def still_stretches(episode: Episode, fixtures: Sequence[Fixture]) -> Iterator[Episode]:
    """The parts of an episode between movements; those that do not reach its end count as cut short."""
    last, start = len(episode), 0
    for still, steps in groupby(_still(episode, fixtures).tolist()):
        end = start + len(list(steps))
        if still:
            ends = end == last
            yield Episode(
                obs=episode.obs[start : end + 1], actions=episode.actions[start:end],
                state=episode.state[start : end + 1], behaviour=episode.behaviour, seed=episode.seed,
                terminated=ends and episode.terminated, truncated=not ends or episode.truncated,
                diverged=ends and episode.diverged,
                rewards=None if episode.rewards is None else episode.rewards[start:end],
            )  # fmt: skip
        start = end


def _key(shard: Shard, fixtures: Sequence[Fixture]) -> str:
    """A key for what is left of a shard: another one for other data or other fixtures."""
    about = " ".join([shard.sha256, *sorted(fixture.name for fixture in fixtures)])
    return f"{shard.key[:80]}-{hashlib.sha256(about.encode()).hexdigest()[:12]}"


def _still(episode: Episode, fixtures: Sequence[Fixture]) -> Bool[ndarray, " T"]:
    still = np.ones(len(episode), bool)
    for fixture in fixtures:
        way = np.abs(np.diff(episode.obs[:, fixture.position]))
        still &= way < STILL * fixture.span
    return still
