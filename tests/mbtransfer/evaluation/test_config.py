"""The model with which is evaluated: its labels, how often it is read, its precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal


def test_more_labels_than_the_pool_holds_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match="200 transitions"):
        EvalConfig(model=str(model), labels=1000, device="cpu").resolve()


def test_a_model_is_read_once_for_all_runs_of_a_process(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    load = Model.load
    monkeypatch.setattr(
        Model, "load", lambda folder, **flags: (read.append(folder), load(folder, **flags))[1]
    )
    config = EvalConfig(model=str(model), device="cpu", reward="true", horizon=2, candidates=4)
    tasks = select_tasks(config.resolve().environment, tasks=["drawer_open", "tap_open"])
    assert len(evaluate_runs(config, make_runs(tasks, (0, 1), 1), console=Terminal(quiet=True))) == 4
    assert len(read) == 2  # once here, once by evaluate_runs


def test_precision_is_decided_once_for_all_processes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    setup = EvalConfig(model=str(model), device="cpu").resolve().config
    assert setup.precision == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert setup.resolve().config == setup
