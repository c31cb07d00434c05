from __future__ import annotations

import pytest
import torch

from mbtransfer.labels.active import active_transitions, held_out, label_counts, random_transitions
from mbtransfer.labels.label_file import LabelTable
from mbtransfer.labels.quality import cross_validated_errors, held_out_errors, rank_error
from mbtransfer.model import Model
from tasks.registry import make
from world_models.rewards.head import Labels
from world_models.transitions import Transitions

TASK = make("kitchen").task("drawer_open")


def labelled(some: Transitions) -> LabelTable:
    reward = TASK.reward(some.obs, some.actions, some.next_obs)
    return LabelTable.blank(some).answered(torch.arange(len(some)), reward, TASK.success(some.next_obs))


def rows(some: Transitions) -> set[bytes]:
    return {row.numpy().tobytes() for row in torch.cat([some.obs, some.actions, some.next_obs], dim=1)}


def test_batches_begin_at_random_and_end_at_the_count() -> None:
    assert label_counts(100, active=False) == [100]
    counts = label_counts(100, active=True)
    assert counts[0] == 50 and counts[-1] == 100 and counts == sorted(set(counts))
    assert label_counts(20, active=True) == [20] and label_counts(21, active=True) == [20, 21]


def test_random_transitions_are_those_of_the_protocol(fitted: Model) -> None:
    some = random_transitions(fitted, TASK.name, None, 30)
    assert torch.equal(some.obs, fitted.label(TASK, 30).obs)
    more = random_transitions(fitted, TASK.name, LabelTable.blank(some), 30)
    assert torch.equal(more.obs, fitted.label(TASK, 60).obs[30:])
    every = random_transitions(fitted, TASK.name, None, len(fitted.pool))
    assert not rows(every) & rows(held_out(fitted, TASK.name))


def test_active_transitions_are_new_and_partly_imagined(fitted: Model) -> None:
    table = labelled(random_transitions(fitted, TASK.name, None, 30))
    chosen = active_transitions(fitted, TASK.name, table, 12)
    assert len(rows(chosen)) == 12 and not rows(chosen) & rows(table.transitions)
    assert len(rows(chosen) & rows(fitted.pool)) == 6
    again = active_transitions(fitted, TASK.name, table, 12)
    assert torch.equal(again.obs, chosen.obs)
    assert len(active_transitions(fitted, TASK.name, table, 400)) == 400


def test_rank_errors() -> None:
    true = torch.arange(10.0)
    assert rank_error(true, true.exp()) == 0.0 and rank_error(true, -true) == 1.0
    assert rank_error(true, torch.zeros(10)) == 0.5


def test_errors_tell_good_labels_from_bad_ones(fitted: Model) -> None:
    layout, labels = fitted.dynamics.layout, labelled(random_transitions(fitted, TASK.name, None, 60)).labels
    truth = labelled(held_out(fitted, TASK.name)).labels
    shuffled = Labels(
        labels.obs, labels.actions, labels.next_obs, labels.reward.flip(0), labels.success.flip(0)
    )
    good, bad = (held_out_errors(layout, some, truth) for some in (labels, shuffled))
    assert good.rank_error < 0.1 < bad.rank_error
    assert cross_validated_errors(layout, labels).rank_error == pytest.approx(good.rank_error, abs=0.1)
