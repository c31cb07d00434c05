"""Transitions side by side, gathered from the mapped shards of a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from mbtransfer.dataset.shard import Shard


@dataclass(frozen=True, eq=False)
class Transitions:
    """B control steps side by side, in memory and writable.

    Attributes:
        obs: observation before each step.
        actions: action of each step.
        next_obs: observation after it.
        state: simulator state before each step.
        next_state: simulator state after it.
        terminated: the environment ended the episode with this step.
        episode: position of the episode among the pool's `records`.
        step: number of the step within its episode.
    """

    obs: Float32[np.ndarray, "B O"]
    actions: Float32[np.ndarray, "B A"]
    next_obs: Float32[np.ndarray, "B O"]
    state: Float64[np.ndarray, "B S"]
    next_state: Float64[np.ndarray, "B S"]
    terminated: Bool[np.ndarray, " B"]
    episode: Int64[np.ndarray, " B"]
    step: Int64[np.ndarray, " B"]

    def __len__(self) -> int:
        """Count the steps B."""
        return len(self.actions)


class Rows(NamedTuple):
    """Where each of the B transitions of a pool lies."""

    shard: Int64[np.ndarray, " B"]
    episode: Int64[np.ndarray, " B"]
    step: Int64[np.ndarray, " B"]
    obs: Int64[np.ndarray, " B"]
    action: Int64[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]


def find_rows(parts: Sequence[tuple[Shard, Sequence[int]]]) -> Rows:
    """Find every transition of the chosen episodes of each shard."""
    records = [shard.records[index] for shard, chosen in parts for index in chosen]
    steps = np.array([record.steps for record in records], np.int64)
    step = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    number = np.repeat(np.arange(len(parts)), [len(chosen) for _, chosen in parts])
    obs_start = np.concatenate([shard.obs_starts[list(chosen)] for shard, chosen in parts])
    action_start = np.concatenate([shard.action_starts[list(chosen)] for shard, chosen in parts])
    terminated = np.array([record.terminated for record in records], bool)
    return Rows(
        shard=np.repeat(number, steps),
        episode=np.repeat(np.arange(len(steps)), steps),
        step=step,
        obs=np.repeat(obs_start, steps) + step,
        action=np.repeat(action_start, steps) + step,
        terminated=np.repeat(terminated, steps) & (step == np.repeat(steps - 1, steps)),
    )


def gather(shards: Sequence[Shard], rows: Rows, sizes: tuple[int, int, int]) -> Transitions:
    """Copy the transitions at `rows` into memory, reading each shard once; `sizes` are O, A and S."""
    batch = len(rows.shard)
    obs, next_obs = (np.empty((batch, sizes[0]), np.float32) for _ in range(2))
    actions = np.empty((batch, sizes[1]), np.float32)
    state, next_state = (np.empty((batch, sizes[2]), np.float64) for _ in range(2))
    order = np.argsort(rows.shard, kind="stable")
    bounds = np.searchsorted(rows.shard[order], np.arange(len(shards) + 1))
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        arrays = shards[number].arrays
        here = order[bounds[number] : bounds[number + 1]]
        before = rows.obs[here]
        obs[here], next_obs[here] = arrays.obs[before], arrays.obs[before + 1]
        state[here], next_state[here] = arrays.state[before], arrays.state[before + 1]
        actions[here] = arrays.actions[rows.action[here]]
    ends = rows.terminated.copy(), rows.episode.copy(), rows.step.copy()
    return Transitions(obs, actions, next_obs, state, next_state, *ends)
