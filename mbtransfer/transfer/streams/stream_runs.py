"""Streams of the targets, one after the other, on disk: what later tasks give to earlier ones, and take from them.

Two ways to learn are compared: dynamics that all tasks share and that stay as they are, so that a task adds a reward
head alone, and sequential fine-tuning of all weights. See `task_stream` and `lifelong`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.files import plain, read_sealed, write_sealed
from mbtransfer.transfer.streams.task_stream import StreamConfig, measures, run_stream
from mbtransfer.validation import validated
from tasks.task import Task
from world_models.adaptation.fine_tuning import VariantConfig

FOLDER = "streams"

TUNING: dict[str, VariantConfig | None] = {"shared model": None, "fine-tuned in turn": VariantConfig("all")}
"""How the dynamics change from task to task."""


@dataclass(frozen=True, kw_only=True)
class StreamRun:
    """What came of a stream.

    Attributes:
        tuning: one of `TUNING`.
        tasks: names of the tasks in order.
        seed: seed of the stream.
        settings: everything else that it depends on.
        success: after learning task i, on task j; None where j had not come yet.
        before: success on each task just before it is learned.
        measures: those of `task_stream.measures`.
        seconds: how long it took, with the streams of one task each.
        failed: why there is no result; empty if there is one.
    """

    tuning: str
    tasks: tuple[str, ...]
    seed: int
    settings: dict[str, Any]
    success: tuple[tuple[float | None, ...], ...] = ()
    before: tuple[float, ...] = ()
    measures: dict[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    failed: str = ""


def fit_for_streams(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that a stream can measure: they have a success, and observations alone judge it."""
    return [task for task in tasks if not task.privileged and not task.continuing]


def plays(count: int) -> int:
    """How often some task is played in a stream of so many tasks, and in one stream for each of them alone."""
    return count * (count + 1) // 2 + count + 2 * count


def stream(
    model: Model, tasks: Sequence[Task], config: StreamConfig, tuning: str, seed: int, folder: Path
) -> StreamRun:
    """Run a stream, and each of its tasks alone, or read what came of it before; a failure is a result.

    Args:
        model: the model with which it begins; it stays as it is.
        tasks: the stream.
        config: its settings; those of the tuning are set here.
        tuning: one of `TUNING`.
        seed: seed of practice, fine-tuning and episodes.
        folder: output folder of the comparison.

    Raises:
        UserError: it was made with other settings, or cannot be written.
    """
    config = replace(config, tuning=TUNING[tuning])
    names = tuple(task.name for task in tasks)
    settings = plain({"model": model.digest, "tasks": names, "config": repr(config), "seed": seed})
    path = folder / FOLDER / f"{tuning.replace(' ', '-')}-{seed}.json"
    content = read_sealed(path, "delete it and run the command again")
    if content is not None:
        found = validated(StreamRun, content, about=f"{path}: ")
        if found.settings != settings:
            raise UserError(f"{path} was made with other settings; choose another --out")
        if not found.failed:
            return found
    blank, began = StreamRun(tuning=tuning, tasks=names, seed=seed, settings=settings), perf_counter()
    try:
        result = run_stream(model, tasks, config, seed)
        alone = [run_stream(model, [task], config, seed) for task in tasks]
        run = replace(
            blank, success=_listed(result.success), before=tuple(map(float, result.before)),
            measures=plain(measures(result, alone)), seconds=perf_counter() - began,
        )  # fmt: skip
    except Exception as error:
        run = replace(blank, failed=" ".join(f"{type(error).__name__}: {error}".split())[:300])
    write_sealed(path, asdict(run))
    return run


def forgotten(run: StreamRun) -> list[float]:
    """After each task: the mean loss of success since they were learned, over the tasks so far."""
    rows = [np.array([x for x in row if x is not None]) for row in run.success]
    learned = np.array([row[-1] for row in rows])
    return [float((learned[: len(row)] - row).mean()) for row in rows]


def performance(run: StreamRun) -> list[float]:
    """After each task: the mean success on the tasks so far."""
    return [float(np.mean([x for x in row if x is not None])) for row in run.success]


def _listed(matrix: Any) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(plain(row)) for row in matrix)
