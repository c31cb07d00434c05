"""Contexts: what descriptions and labels say of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.policy.context import (
    COLUMNS,
    Embedding,
    LabelVector,
    Metadata,
    OneHot,
    encoded,
    nearest_source,
)
from mbtransfer.transfer.policy.distilled_policy import task_vector
from tasks.task import Task


@pytest.fixture
def sources(drifting: Callable[..., Model]) -> Sources:
    model = drifting()
    tasks = [model.environment.move("drawer", to) for to in (0.05, 0.25)]
    tasks.append(model.environment.move("left_knob", 1.5))
    return Sources(model, tuple(tasks), 500, 0)


def said(task: Task, text: str) -> Task:
    """The task with another description."""
    return replace(task, description=text)


def test_equal_descriptions_are_encoded_equally() -> None:
    one, same, other = (encoded(f"move {name} to 0.2 m") for name in ("drawer", "Drawer", "kettle"))
    assert torch.equal(one.nan_to_num(), same.nan_to_num())
    assert not torch.equal(one.nan_to_num(), other.nan_to_num())


def test_words_are_counted_and_numbers_stay_numbers() -> None:
    row = encoded("move left_knob to -1.5 rad and left_tap to 2e-1 rad")
    words, numbers = row[:COLUMNS], row[COLUMNS:]
    assert sorted(words[words > 0].tolist()) == [1.0] * 4 + [2.0] * 3
    assert sorted(numbers[~numbers.isnan()].tolist()) == pytest.approx([-1.5, 0.2])


def test_numbers_of_another_unit_are_in_another_column() -> None:
    metres, more, angle = (
        (~encoded(f"to {text}")[COLUMNS:].isnan()).nonzero()[:, 0].tolist()
        for text in ("1 m", "(0.3, 2, 1) m", "1 rad")
    )
    assert len(metres) == len(angle) == 1 and len(more) == 3
    assert metres[0] in more and angle[0] not in more


def test_digits_in_a_name_are_no_numbers() -> None:
    assert bool(encoded("joint1 and v2.0x")[COLUMNS:].isnan().all())


def test_numbers_are_ordered(sources: Sources) -> None:
    contexts = Metadata(sources)
    drawer = sources.model.environment.move("drawer", 0.1)
    rows = [
        contexts.of(said(drawer, f"move drawer to {to} m"), contexts.table) for to in ("0.1", "0.2", "0.3")
    ]
    low, middle, high = rows
    differ = (low != high).nonzero()[:, 0]
    assert len(differ) == 1, "in the number alone"
    assert bool((low[differ] < middle[differ]).all() and (middle[differ] < high[differ]).all())
    torch.testing.assert_close(middle, (low + high) / 2)


def test_metadata_are_normalised_over_the_source_tasks(sources: Sources) -> None:
    contexts = Metadata(sources)
    table = contexts.table
    # drawer, left, knob, m, rad, and metres; the one number of radians is the same wherever there is one
    assert table.shape == (3, 6)
    torch.testing.assert_close(table.mean(dim=0), torch.zeros(6))
    for task, row in zip(sources.tasks, table, strict=True):
        torch.testing.assert_close(contexts.of(task, table), row)
    same = Metadata(replace(sources, seed=1))
    assert torch.equal(same.table, table), "nothing is random"


def test_words_that_no_source_task_has_are_ignored(sources: Sources) -> None:
    contexts, task = Metadata(sources), sources.tasks[0]
    plain = contexts.of(said(task, "move drawer to 0.05 m"), contexts.table)
    assert torch.equal(plain, contexts.table[0])
    other = contexts.of(said(task, "move drawer somewhere 0.05 m"), contexts.table)
    assert torch.equal(other, plain)


@pytest.mark.parametrize("text", ["", "0.3", "dance"])
def test_a_description_that_says_nothing_known_is_refused(sources: Sources, text: str) -> None:
    contexts = Metadata(sources)
    with pytest.raises(UserError, match="shares no word with those of the source tasks; use the context"):
        contexts.of(said(sources.tasks[0], text), contexts.table)


def test_metadata_of_a_task_known_by_labels_are_refused(sources: Sources) -> None:
    model = sources.model
    task = LabelledTask.of("mine", model.label(sources.tasks[0], 100), model.dynamics.layout)
    with pytest.raises(UserError, match="'mine' is known by labels alone"):
        Metadata(sources).of(task, torch.zeros(1, 0))
    contexts = LabelVector(sources)
    assert torch.equal(contexts.of(task, contexts.table), task_vector(sources, task))


def test_source_tasks_that_all_say_the_same_are_refused(sources: Sources) -> None:
    with pytest.raises(UserError, match="do not differ"):
        Metadata(replace(sources, tasks=sources.tasks[:1]))


def test_one_hot_and_embedding_take_the_context_of_the_nearest_source_task(sources: Sources) -> None:
    half = sources.model.environment.move("drawer", 0.22)
    assert nearest_source(sources, half) == 1
    one_hot, embedding = OneHot(sources), Embedding(sources)
    assert one_hot.of(half, one_hot.table).tolist() == [0.0, 1.0, 0.0]
    learned = embedding.table + 1.0
    assert embedding.learned and torch.equal(embedding.of(half, learned), learned[1])
    for k, task in enumerate(sources.tasks):
        assert one_hot.of(task, one_hot.table).argmax() == k
