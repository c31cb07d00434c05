from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.training.batches import Epoch, InMemorySource
from world_models.training.config import LearningRate
from world_models.training.distributed import MemberShard, ProcessGroup
from world_models.training.trainer import TrainingConfig, fit, make_optimiser, train_steps
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_each_part_is_for_one_process(size: int) -> None:
    parts = [list(ProcessGroup(rank, size).own(7)) for rank in range(size)]
    assert [part for own in parts for part in own] == list(range(7))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parts == [list(ProcessGroup(0, size).own(7, rank)) for rank in range(size)]


@pytest.mark.parametrize(("structure", "head", "steps"), [
    ("objects", "deterministic", 1), ("objects", "gaussian", 1), ("shared", "deterministic", 1),
    ("attention", "deterministic", 1), ("dense", "gaussian", 2),
])  # fmt: skip
def test_a_share_learns_what_its_members_learn_among_all(
    build: Build, train: Transitions, structure: str, head: str, steps: int
) -> None:
    """To the last bit, on one thread and with batches of a multiple of 16."""
    settings = {"members": 5, "structure": structure, "head": head, "hidden": 13}
    whole, other, source = build(**settings), build(**settings), InMemorySource(train)
    losses = train_steps(
        whole,
        make_optimiser(whole),
        source.batches(Epoch(0, 1, 5, 20, 48, steps)),
        lambda i: LearningRate(1e-2),
    )
    own = range(2, 4)
    batches = source.batches(Epoch(0, 1, 5, 20, 48, steps, own))
    found = train_steps(MemberShard(other, own), make_optimiser(other), batches, lambda i: LearningRate(1e-2))
    assert torch.equal(found, losses[2:4])
    for one, two in zip(whole.parameters(), other.parameters(), strict=True):
        assert torch.equal(*(x.detach().unflatten(0, (5, -1))[2:4] for x in (one, two)))


@pytest.mark.parametrize(
    ("config", "size", "words"),
    [
        (TrainingConfig(), 3, "2 members cannot be shared by 3"),
        (TrainingConfig(seconds=1.0), 2, "limit of seconds"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    build: Build, train: Transitions, valid: Transitions, config: TrainingConfig, size: int, words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        fit(build(), train, valid, config, ranks=ProcessGroup(0, size))
