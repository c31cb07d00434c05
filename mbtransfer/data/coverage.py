"""Coverage: how often each fixture moved in each part of its range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data import Dataset
from mbtransfer.data.pool import blocks, read
from tasks.spec import EnvSpec, Fixture

BINS = 20
MOVING = 0.01
"""A fixture moves in a control step when it moves by more than this share of its range."""

ENOUGH = 10
"""Movements in a part of the range from which on it counts as visited."""


@dataclass(frozen=True)
class Coverage:
    """Movements of each fixture in each of `BINS` equal parts of its range."""

    moves: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, spec: EnvSpec, obs: Float[ndarray, "B O"], next_obs: Float[ndarray, "B O"]) -> "Coverage":
        """Count the movements in transitions."""
        moves = {}
        for fixture in spec.fixtures:
            before, after = obs[:, fixture.position], next_obs[:, fixture.position]
            moving = np.abs(after - before) > MOVING * fixture.span
            middle = (before[moving] + after[moving]) / 2
            counts, _ = np.histogram(middle, bins=BINS, range=(fixture.low, fixture.high))
            moves[fixture.name] = tuple(int(n) for n in counts)
        return cls(moves)

    def visited(self, fixture: Fixture, start: float, to: float) -> float:
        """Share of the way from `start` to `to` in which the fixture was seen moving, from 0 to 1."""
        ends = sorted((_bin(fixture, start), _bin(fixture, to)))
        way = self.moves[fixture.name][ends[0] : ends[1] + 1]
        return sum(n >= ENOUGH for n in way) / len(way)

    def plus(self, other: "Coverage") -> "Coverage":
        """The movements of both."""
        pairs = {name: zip(counts, other.moves[name], strict=True) for name, counts in self.moves.items()}
        return Coverage({name: tuple(a + b for a, b in both) for name, both in pairs.items()})


def _bin(fixture: Fixture, value: float) -> int:
    return min(BINS - 1, max(0, int(BINS * (value - fixture.low) / fixture.span)))


def coverage(spec: EnvSpec, dataset: Dataset) -> Coverage:
    """Where all episodes of a dataset have been, counted block by block."""
    moves = (read([part]) for part in blocks(dataset.pool))
    return reduce(Coverage.plus, (Coverage.of(spec, part.obs, part.next_obs) for part in moves))
