"""Episodes as single transitions: all of them, or some in any order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.mbtransfer.data.episodes import fill


def test_transitions_are_the_steps_of_the_episodes(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    episodes, batch = list(dataset.episodes()), dataset.transitions()
    assert len(batch) == dataset.steps
    np.testing.assert_array_equal(batch.obs, np.concatenate([e.obs[:-1] for e in episodes]))
    np.testing.assert_array_equal(batch.next_obs, np.concatenate([e.obs[1:] for e in episodes]))
    np.testing.assert_array_equal(batch.actions, np.concatenate([e.actions for e in episodes]))
    np.testing.assert_array_equal(batch.state, np.concatenate([e.state[:-1] for e in episodes]))
    np.testing.assert_array_equal(batch.next_state, np.concatenate([e.state[1:] for e in episodes]))
    np.testing.assert_array_equal(batch.episode, np.repeat(np.arange(12), [len(e) for e in episodes]))
    np.testing.assert_array_equal(batch.step, np.concatenate([np.arange(len(e)) for e in episodes]))
    ends = [np.arange(len(e)) == len(e) - 1 if e.terminated else np.zeros(len(e), bool) for e in episodes]
    np.testing.assert_array_equal(batch.terminated, np.concatenate(ends))


def test_take_reads_single_transitions_in_any_order(tmp_path: Path) -> None:
    dataset = fill(tmp_path)
    everything = dataset.transitions()
    rows = np.random.default_rng(0).integers(0, dataset.steps, 50)
    some = dataset.take(rows)
    for field in dataclasses.fields(some):
        np.testing.assert_array_equal(getattr(some, field.name), getattr(everything, field.name)[rows])
    with pytest.raises(IndexError):
        dataset.take(np.array([dataset.steps]))
