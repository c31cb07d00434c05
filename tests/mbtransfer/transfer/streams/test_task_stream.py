"""Streams of tasks: heads grow, and what the dynamics forget shows in the matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.transfer.streams import task_stream
from mbtransfer.transfer.streams.task_stream import StreamConfig, StreamResult, measures, run_stream
from tasks.task import Task
from world_models.adaptation.fine_tuning import VariantConfig
from world_models.checkpoint.storage import digest
from world_models.errors import ModelError

SHORT = StreamConfig(practice=1, episodes=1, labels=50)
ALL = replace(SHORT, tuning=VariantConfig("all", epochs=1, steps_per_epoch=10, batch=32))


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    return drifting(rows=50)


@pytest.fixture
def stream(model: Model) -> list[Task]:
    return [model.environment.task(name) for name in ("drawer_half", "tap_half")]


@pytest.fixture
def _unplayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Success is said to be a quarter for each head that there is when a task is asked for."""

    def counted(model: Model, task: Task, config: StreamConfig, seed: int) -> float:
        model.rewards([task], config.labels)
        return len(model.heads) / 4

    monkeypatch.setattr(task_stream, "_success", counted)


@pytest.mark.usefixtures("_unplayed")
def test_shared_dynamics_stay_and_heads_grow(model: Model, stream: list[Task]) -> None:
    before = model.digest
    found = run_stream(model, stream, SHORT)
    np.testing.assert_array_equal(found.success, [[0.25, np.nan], [0.25, 0.5]])
    np.testing.assert_array_equal(found.before, [0.25, 0.5])
    assert digest(found.model.dynamics.state_dict()) == digest(model.dynamics.state_dict())
    assert found.error[0, 0] == found.error[1, 0] and np.isnan(found.error[0, 1])
    assert [task.name for task, _ in found.model.heads] == ["drawer_half", "tap_half"]
    assert len(found.model.pool) == 50 + 2 * model.environment.spec.episode_steps
    assert model.digest == before and not model.heads, "the given model stays as it is"


@pytest.mark.usefixtures("_unplayed")
def test_a_head_is_never_fitted_again(model: Model, stream: list[Task]) -> None:
    alone = run_stream(model, stream[:1], SHORT).model
    both = run_stream(model, stream, SHORT).model
    one, other = (found.heads[stream[0], 50].heads["drawer_half"] for found in (alone, both))
    obs = model.pool.obs
    heads = (found.rewards(stream[:1], 50) for found in (alone, both))
    first, again = (head.reward(obs, model.pool.actions, obs) for head in heads)
    assert one.reward_error == other.reward_error and first.equal(again)


@pytest.mark.usefixtures("_unplayed")
def test_fine_tuning_of_all_weights_changes_what_is_known_of_earlier_tasks(
    model: Model, stream: list[Task]
) -> None:
    found, again = (run_stream(model, stream, ALL) for _ in range(2))
    assert found.error[0, 0] != found.error[1, 0]
    np.testing.assert_array_equal(found.error, again.error)
    assert digest(found.model.dynamics.state_dict()) == digest(again.model.dynamics.state_dict())


@pytest.mark.slow
def test_episodes_are_played(model: Model, stream: list[Task]) -> None:
    found = run_stream(model, stream[:1], SHORT)
    assert found.success.shape == (1, 1) and found.success[0, 0] in (0.0, 1.0)
    assert measures(found) == {"average_performance": found.success[0, 0], "forgetting": 0.0}


def result(model: Model, names: str, before: list[float], success: list[list[float]]) -> StreamResult:
    matrix = np.array(success)
    return StreamResult(tuple(names), model, matrix, matrix, np.array(before))


def test_measures_of_a_stream_against_training_alone(model: Model) -> None:
    found = result(model, "ab", [0.0, 0.5], [[1.0, np.nan], [0.5, 1.0]])
    alone = [result(model, "a", [0.0], [[1.0]]), result(model, "b", [0.0], [[1.0]])]
    assert measures(found, alone) == {
        "average_performance": 0.75, "forgetting": 0.25, "backward_transfer": -0.5,
        "forward_transfer": (0.0 + (0.75 - 0.5) / 0.5) / 2,
    }  # fmt: skip
    with pytest.raises(UserError, match="one task each"):
        measures(found, alone[::-1])


def test_streams_that_make_no_sense_are_refused(model: Model, stream: list[Task]) -> None:
    wrong: list[tuple[list[Task], StreamConfig, type[Exception], str]] = [
        ([], SHORT, UserError, "at least one task"),
        ([*stream, stream[0]], SHORT, UserError, "'drawer_half' is in the stream twice"),
        (stream, replace(SHORT, practice=0), UserError, "practice must be at least 1"),
        (stream, replace(SHORT, episodes=0), UserError, "episodes must be at least 1"),
        (stream, replace(SHORT, labels=51), ModelError, "51 labels asked for"),
    ]
    for tasks, config, error, words in wrong:
        with pytest.raises(error, match=words):
            run_stream(model, tasks, config)
