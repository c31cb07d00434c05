"""What structures learn from and are judged by: a whole pool, and one that lacks what touched some fixtures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.roll_outs import Judge
from mbtransfer.data import Dataset
from mbtransfer.diagnostics.calibration import SHARE, stretches
from mbtransfer.training.fit import in_memory
from tasks.registry import make
from tasks.spec import EnvSpec, Fixture
from world_models.transitions import Transitions

HORIZON, STRETCHES = 10, 8_000

NEAR = 0.12
"""Distance (m) from a handle within which a transition counts as one of that fixture, as does one that moves it."""

FEW = 1_000
"""Transitions that a pool keeps of a fixture that is rare in it."""


@dataclass(frozen=True)
class Work:
    """The same for all structures: data to learn from, and who judges.

    Attributes:
        whole, poor: training and validation transitions, of the whole pool and of the poorer one.
        judge: errors on all that is held out.
        judges: errors on stretches in which one fixture moves, of that fixture.
    """

    spec: EnvSpec
    whole: tuple[Transitions, Transitions]
    poor: tuple[Transitions, Transitions]
    judge: Judge
    judges: dict[str, Judge]

    @classmethod
    def of(cls, data: Path, unseen: str, rare: Sequence[str]) -> "Work":
        """Read a dataset and take the transitions of some fixtures out of the poorer pool."""
        dataset = Dataset.open(data)
        spec = make(dataset.header.env).spec
        train, held_out = dataset.split(SHARE, seed=0)
        whole = in_memory(train), in_memory(held_out)
        keep = {spec.fixture(unseen): 0} | {spec.fixture(name): FEW for name in rare}
        poor = without(whole[0], keep), without(whole[1], dict.fromkeys(keep, 0))
        paths = stretches(held_out, 0, HORIZON, STRETCHES)
        judges = {fixture.name: Judge.of_one(paths, fixture, whole[0]) for fixture in keep}
        return cls(spec, whole, poor, Judge.of_all(paths, whole[0]), judges)


def without(data: Transitions, keep: dict[Fixture, int]) -> Transitions:
    """Transitions but for most of some fixtures': of each, so many are kept, drawn at random."""
    stays = torch.ones(len(data), dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    for fixture, few in keep.items():
        step = (data.next_obs - data.obs)[:, fixture.position].abs()
        rows = (
            (data.obs[:, list(fixture.handle)].norm(dim=1) < NEAR) | (step > 1e-3 * fixture.span)
        ).nonzero()
        stays[rows[torch.randperm(len(rows), generator=generator)[few:]]] = False
    return data[stays]
