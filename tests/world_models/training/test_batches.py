from __future__ import annotations

import torch

from world_models.training.batches import Epoch, InMemorySource, gather
from world_models.transitions import Transitions


def episodes(*lengths: int) -> Transitions:
    """Observations count up, one by one and from episode to episode by a hundred."""
    parts = [100.0 * k + torch.arange(n + 1.0)[:, None] for k, n in enumerate(lengths)]
    return Transitions.of([(obs, obs[:-1]) for obs in parts])


def test_what_goes_on_with_an_episode() -> None:
    assert episodes(3, 2, 1).is_continuation().tolist() == [False, True, True, False, True, False]
    assert not episodes(3)[torch.tensor([0, 2])].is_continuation().any()
    assert not len(episodes(3)[:0].is_continuation())


def test_batches_hold_the_rows_that_were_asked_for() -> None:
    data = episodes(4, 4)
    rows = torch.tensor([[0, 5, 2, 1, 7], [3, 3, 6, 4, 0]])
    first, second = gather(data, rows, 2)  # the odd one out is left out
    for batch, part in ((first, rows[:, :2]), (second, rows[:, 2:4])):
        (step,) = batch
        assert torch.equal(step.obs, data.obs[part]) and torch.equal(step.next_obs, data.next_obs[part])
        assert torch.equal(step.actions, data.actions[part]) and step.is_continuation is None


def test_stretches_go_on_within_episodes_and_begin_anew_after_the_last_row() -> None:
    data = episodes(4, 4)
    batch = next(gather(data, torch.tensor([[0, 2, 7]]), 3, 3, data.is_continuation()))
    assert [step.obs[0, :, 0].tolist() for step in batch] == [[0, 2, 103], [1, 3, 0], [2, 100, 1]]
    is_continuation = [
        step.is_continuation[0, :, 0].tolist() for step in batch[1:] if step.is_continuation is not None
    ]
    assert is_continuation == [[True, True, False], [True, False, True]]


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    source = InMemorySource(episodes(40))

    def drawn(seed: int, number: int) -> list[float]:
        batches = source.batches(Epoch(seed, number, members=2, updates=3, batch=8))
        return torch.cat([batch[0].obs.flatten() for batch in batches]).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert len({tuple(drawn(seed, number)) for seed in (0, 1) for number in (1, 2)}) == 4


def test_a_bag_is_the_same_in_every_epoch() -> None:
    source = InMemorySource(episodes(40), bootstrap=True)
    seen = []
    for number in (1, 2):
        batches = source.batches(Epoch(0, number, members=1, updates=20, batch=8))
        seen.append({value for batch in batches for value in batch[0].obs.flatten().tolist()})
    assert seen[0] == seen[1] and len(seen[0]) < 36
