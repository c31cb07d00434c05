from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.training.batches import Epoch, Streamed
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Segments, Transitions
from world_models.uncertainty.forecast import relative_error

Build = Callable[..., EnsembleDynamics]


def streamed(data: Transitions, size: int = 60, window: int = 600) -> Streamed:
    """Parts of `size` rows."""
    starts = range(0, len(data), size)

    def read(parts: Sequence[int]) -> Transitions:
        return Transitions.join([data[starts[k] : starts[k] + size] for k in parts])

    return Streamed([len(data[k : k + size]) for k in starts], read, "toy", window=window)


def counting(rows: int) -> Transitions:
    obs = torch.arange(float(rows))[:, None]
    return Transitions(obs, obs, obs + 1)


def drawn(source: Streamed, epoch: Epoch) -> torch.Tensor:
    """The row numbers of an epoch, [members, updates * batch]."""
    return torch.cat([batch[0].obs[..., 0] for batch in source.batches(epoch)], dim=1)


def test_an_epoch_over_everything_shows_each_row_once() -> None:
    source = streamed(counting(960), size=30, window=240)
    rows = drawn(source, Epoch(0, 1, members=2, updates=60, batch=16))
    assert rows.shape == (2, 960)
    assert all(sorted(member) == list(range(960)) for member in rows.tolist())
    assert not torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0, :240].sort().values, rows[1, :240].sort().values)  # one window for all members
    assert len({int(row) // 30 for row in rows[0, :16]}) > 3  # and many parts in a batch


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    source = streamed(counting(300), size=20, window=100)
    found = {(s, n): drawn(source, Epoch(s, n, 2, 5, 16)) for s in (0, 1) for n in (1, 2)}
    assert torch.equal(found[0, 1], drawn(source, Epoch(0, 1, 2, 5, 16)))
    assert len({tuple(rows.flatten().tolist()) for rows in found.values()}) == 4


@pytest.mark.parametrize(("rows", "updates", "batch"), [(5, 3, 64), (100, 40, 16), (1, 1, 1)])
def test_small_data_are_shown_again(rows: int, updates: int, batch: int) -> None:
    seen = drawn(streamed(counting(rows), size=7, window=50), Epoch(0, 1, 2, updates, batch))
    assert seen.shape == (2, updates * batch) and len(set(seen[0].tolist())) == rows


def test_stretches_go_on_within_a_window() -> None:
    for batch in streamed(counting(240), size=30).batches(Epoch(0, 1, 2, 10, 16, steps=3)):
        for before, after in pairwise(batch):
            assert after.is_continuation is not None
            assert torch.equal(after.obs[after.is_continuation], before.next_obs[after.is_continuation])
            assert after.is_continuation.float().mean() > 0.7


def test_a_sample_is_in_the_order_of_the_data() -> None:
    source = streamed(counting(300), size=20)
    assert torch.equal(source.sample().obs, counting(300).obs)
    some = source.sample(50).obs[:, 0]
    assert len(some) == 60 and torch.equal(some, some.sort().values)


def test_an_epoch_left_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    batches = streamed(counting(300), size=20, window=50).batches(Epoch(0, 1, 2, 15, 16))
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_what_cannot_be_read_ends_the_training(build: Build, valid: Transitions) -> None:
    def broken(parts: Sequence[int]) -> Transitions:
        if len(parts) < 3:
            raise OSError("the disk is gone")
        return valid

    with pytest.raises(OSError, match="the disk is gone"):
        list(Streamed([600, 600, 600], broken, "", window=1000).batches(Epoch(0, 1, 2, 30, 64)))


@pytest.mark.parametrize("rollout_steps", [1, 2])
def test_streamed_training_learns_and_goes_on_after_a_kill(
    build: Build,
    train: Transitions,
    valid: Transitions,
    segments: Segments,
    tmp_path: Path,
    rollout_steps: int,
) -> None:
    config, source = TrainingConfig(epochs=8, batch=64, rollout_steps=rollout_steps), streamed(train)
    whole, part, rest = (build(hidden=24) for _ in range(3))
    list(fit(whole, source, valid, config, segments=segments))
    assert (relative_error(whole, segments) < 0.7).all()
    reports = fit(part, source, valid, config, segments=segments, state=tmp_path / "state")
    for _ in range(3):
        next(reports)
    reports.close()  # type: ignore[attr-defined]
    list(fit(rest, source, valid, config, segments=segments, state=tmp_path / "state"))
    assert all(torch.equal(x, rest.state_dict()[name]) for name, x in whole.state_dict().items())


def test_weights_and_bags_need_data_in_memory(build: Build, train: Transitions, valid: Transitions) -> None:
    for settings in ({"weights": torch.ones(len(train))}, {"config": TrainingConfig(bootstrap=True)}):
        with pytest.raises(ModelError, match="need transitions in memory"):
            fit(build(), streamed(train), valid, **settings)  # type: ignore[arg-type]
