"""What a card says of a model or dataset beside its figures: its data, and what it does not know."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mbtransfer.data.coverage import BINS, ENOUGH, Coverage
from mbtransfer.data.dataset import Dataset
from mbtransfer.diagnostics.check import as_dict, check_task
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.task_policy import prepared_digest
from mbtransfer.runtime.environment import versions
from mbtransfer.sharing.card import Card, Measurement
from mbtransfer.sharing.contents import FileRecord, file_record, own_files
from mbtransfer.sharing.measured import read_measurements, rows_files
from tasks.errors import TaskError
from world_models.checkpoint.checkpoint import load_dynamics
from world_models.dynamics.kernels import processor
from world_models.errors import ModelError

FROM_POOL = ("data", "transitions", "episodes", "behaviours", "seed")
"""What a model notes of its pool."""


def dataset_card(folder: Path, name: str, licence: str | None) -> Card:
    """The card of a dataset.

    Raises:
        UserError: it is damaged.
    """
    files = records(folder, own_files(folder, "dataset"))
    dataset = Dataset.open(folder, verify=False)
    holds = {
        "episodes": len(dataset), "transitions": dataset.steps, "behaviours": dataset.behaviours,
        "diverged": sum(record.diverged for record in dataset.records), "control_dt": dataset.header.control_dt,
        "observation": [column.name for column in dataset.header.observation],
        "action": [column.name for column in dataset.header.action],
    }  # fmt: skip
    return Card(
        "dataset",
        name,
        dataset.header.env,
        dataset.digest,
        licence,
        holds,
        {},
        (),
        versions(),
        processor(),
        files,
    )


def model_card(
    folder: Path, model: Model, name: str, licence: str | None, *, results: Sequence[Path] = (),
    data: Path | None = None, check: bool = True, say: Callable[[str], None] = print,
) -> Card:  # fmt: skip
    """The card of a model.

    Args:
        folder: of the model.
        model: the same.
        name: title of the card.
        licence: as the author states it.
        results: files and folders of rows of this model.
        data: the pool that it was fitted on, for models that do not note its episodes and behaviours.
        check: run `check` on every task of the environment.
        say: told what is going on.

    Raises:
        UserError: rows or data are not of this model.
        ModelError: a file is damaged.
    """
    files = records(folder, own_files(folder, "model"))
    measurements: list[Measurement] = []
    prepared = prepared_digest(folder)
    for path in rows_files(results):
        measured, told = read_measurements(path, model.digest, prepared)
        measurements += measured
        for line in told:
            say(line)
    limits: dict[str, Any] = {"coverage": moved(model.coverage), "check": None}
    if check:
        limits["check"] = findings(model, say)
    return Card(
        "model", name, model.environment.spec.name, model.digest, licence, _pool(folder, model, data), limits,
        tuple(measurements), versions(), processor(), files,
    )  # fmt: skip


def records(folder: Path, names: Sequence[str]) -> dict[str, FileRecord]:
    """The records of files in a folder."""
    return {name: file_record(folder / name) for name in names}


def _pool(folder: Path, model: Model, data: Path | None) -> dict[str, Any]:
    _, manifest = load_dynamics(folder)
    noted = {name: model.notes.get(name) for name in FROM_POOL}
    if data is not None:
        dataset = Dataset.open(data)
        if dataset.digest != noted["data"]:
            raise UserError(f"{data} is not what the model was fitted on; name that dataset, or none")
        noted |= {"episodes": len(dataset), "behaviours": dataset.behaviours}
    return noted | {
        "sample": len(model.pool),
        "network": manifest["config"],
        "libraries": manifest["libraries"],
    }


def moved(coverage: Coverage) -> dict[str, float]:
    """Share of its range in which each fixture was seen moving, from 0 to 1."""
    return {name: sum(n >= ENOUGH for n in counts) / BINS for name, counts in coverage.moves.items()}


def findings(model: Model, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """What `check` says of every task of the environment."""
    scene, tasks = model.scene(), list(model.environment.tasks.values())
    found = []
    for number, task in enumerate(tasks, start=1):
        say(f"check {number} of {len(tasks)}: {task.name}")
        try:
            found.append(as_dict(check_task(model, task, scene)))
        except (TaskError, ModelError) as error:
            found.append({"task": task.name, "risk": None, "warning": f"cannot be checked: {error}"})
    return found
