"""One shard in memory: what its episodes are called, and their arrays mapped from the file."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64
from safetensors import SafetensorError, safe_open

from mbtransfer.episode import Episode
from mbtransfer.errors import UserError


@dataclass(frozen=True)
class EpisodeRecord:
    """What is known of an episode without reading its arrays; `index` counts within the shard."""

    key: str
    index: int
    behaviour: str
    seed: int
    steps: int
    terminated: bool
    truncated: bool
    diverged: bool = False


class Arrays(NamedTuple):
    """The episodes of a shard end to end, mapped from the file (changes stay in this process)."""

    obs: Float32[np.ndarray, "rows O"]
    actions: Float32[np.ndarray, "steps A"]
    state: Float64[np.ndarray, "rows S"]
    rewards: Float64[np.ndarray, " steps"] | None = None


@dataclass(frozen=True)
class Shard:
    """A finished shard on disk; its arrays are mapped when first used."""

    key: str
    path: Path
    sha256: str
    size: int
    records: tuple[EpisodeRecord, ...]

    @cached_property
    def arrays(self) -> Arrays:
        """The mapped arrays: n episodes of T steps in all have T rows of actions and T + n of the others.

        Raises:
            UserError: the file was removed since the shard was checked.
        """
        return _map(self.path)

    @cached_property
    def action_starts(self) -> Int64[np.ndarray, " starts"]:
        """Row of `actions` at which each episode begins, and the end."""
        return np.cumsum([0] + [record.steps for record in self.records], dtype=np.int64)

    @cached_property
    def obs_starts(self) -> Int64[np.ndarray, " starts"]:
        """Row of `obs` and `state` at which each episode begins, and the end."""
        return self.action_starts + np.arange(len(self.records) + 1)

    def episode(self, index: int) -> Episode:
        """The episode at `index`, as views of the mapped file."""
        record, (obs, actions, state, rewards) = self.records[index], self.arrays
        rows = slice(self.obs_starts[index], self.obs_starts[index + 1])
        steps = slice(self.action_starts[index], self.action_starts[index + 1])
        tags = record.behaviour, record.seed, record.terminated, record.truncated
        paid = None if rewards is None else rewards[steps]
        return Episode(obs[rows], actions[steps], state[rows], *tags, rewards=paid, diverged=record.diverged)


def _map(path: Path) -> Arrays:
    # PyTorch's loader maps the file copy-on-write; safetensors' NumPy loader would copy it all.
    try:
        with safe_open(path, framework="pt") as file:
            stored = set(file.keys())
            return Arrays(**{n: file.get_tensor(n).numpy() for n in Arrays._fields if n in stored})
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} was changed or removed while in use; open the dataset again") from error
