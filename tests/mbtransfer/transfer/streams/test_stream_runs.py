"""Streams of a comparison: read again instead of run again, and what they forget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.transfer.streams import stream_runs, task_stream
from mbtransfer.transfer.streams.stream_runs import StreamRun, forgotten, performance, plays, stream
from mbtransfer.transfer.streams.task_stream import StreamConfig
from tasks.task import Task

SHORT = StreamConfig(practice=1, episodes=1, labels=50)


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    return drifting(rows=50)


@pytest.fixture
def tasks(model: Model) -> list[Task]:
    return [model.environment.task(name) for name in ("drawer_half", "tap_half")]


def test_a_stream_is_kept_and_counts_its_plays(
    model: Model, tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = list[str]()

    def success(model: Model, task: Task, config: StreamConfig, seed: int) -> float:
        played.append(task.name)
        model.rewards([task], config.labels)
        return 0.5

    monkeypatch.setattr(task_stream, "_success", success)
    run = stream(model, tasks, SHORT, "shared model", 0, tmp_path)
    assert not run.failed and run.success == ((0.5, None), (0.5, 0.5)) and run.measures["forgetting"] == 0.0
    assert set(run.measures) == {"average_performance", "forgetting", "backward_transfer", "forward_transfer"}
    assert len(played) == plays(2) == 9
    assert stream(model, tasks, SHORT, "shared model", 0, tmp_path) == run and len(played) == 9
    with pytest.raises(UserError, match="other settings"):
        stream(model, tasks[:1], SHORT, "shared model", 0, tmp_path)


def test_a_stream_that_fails_says_why_and_is_tried_again(
    model: Model, tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(stream_runs, "run_stream", broken)
    for _ in range(2):
        assert stream(model, tasks, SHORT, "shared model", 0, tmp_path).failed == "RuntimeError: no luck"


def test_what_is_forgotten_after_each_task() -> None:
    success = ((1.0, None, None), (0.5, 1.0, None), (0.0, 0.5, 0.75))
    run = StreamRun(tuning="shared model", tasks=("a", "b", "c"), seed=0, settings={}, success=success)
    assert forgotten(run) == [0.0, 0.25, 0.5] and performance(run) == [1.0, 0.75, pytest.approx(5 / 12)]
