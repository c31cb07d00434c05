from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.config import FitConfig, TrackerFlags
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.tracking import NULL_TRACKER, PrefixedTracker, Tracker, track
from mbtransfer.tracking import factory as opening
from mbtransfer.tracking import subprocess_tracker as remote
from mbtransfer.tracking.factory import Identity
from mbtransfer.tracking.subprocess_tracker import SubprocessTracker
from mbtransfer.tracking.tracker import figures

OFFLINE = TrackerFlags(tracker="wandb", tracker_mode="offline")
FIT = ("--epochs", "2", "--members", "2", "--hidden", "8", "--device", "cpu")
Runs = Callable[[], list[Any]]


class Heard(Tracker):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def tell(self, verb: str, **what: Any) -> None:
        self.told.append((verb, what))


def test_figures_are_the_numbers_by_their_path() -> None:
    found = {
        "splits": {"source": {"mean": np.float32(0.5), "ci": [0, 1]}}, "won": True, "what": "tea",
        "tasks": [{"name": "tap", "rate": 1}, {"name": "tea", "rate": float("nan")}], "none": None,
    }  # fmt: skip
    assert figures(found) == {"splits/source/mean": 0.5, "won": 1.0, "tasks/tap/rate": 1.0}


def test_a_part_names_its_curves_and_does_not_end_the_whole() -> None:
    whole = Heard()
    part = PrefixedTracker(whole, "first")
    part.log({"loss": 1.0}, "epoch", 2)
    part.table("tasks", [{"name": "tap"}])
    part.finish(0)
    assert whole.told == [
        ("log", {"values": {"first/loss": 1.0}, "axis": "first/epoch", "at": 2}),
        ("table", {"name": "first/tasks", "rows": [{"name": "tap"}]}),
    ]


@pytest.mark.parametrize("beside", ["model", "rows.csv"])
def test_a_run_that_did_not_end_is_continued(tmp_path: Path, beside: str) -> None:
    identity = Identity(tmp_path / beside, "fit")
    first = identity.claim()
    assert identity.claim() == first == Identity(tmp_path / beside, "fit").claim()
    assert Identity(tmp_path / beside, "collect").claim() != first
    identity.release()
    assert identity.claim() != first


def test_what_keeps_the_id_never_stops_a_command(tmp_path: Path) -> None:
    (tmp_path / "tracking.json").write_text("[")
    assert Identity(tmp_path, "fit").claim()
    (tmp_path / "file").write_text("")
    assert Identity(tmp_path / "file" / "out", "fit").claim()
    assert Identity(None, "fit").claim() != Identity(None, "fit").claim()


def test_none_and_disabled_start_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with track("fit", TrackerFlags(), place) as tracker:
        assert tracker is NULL_TRACKER
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with track("fit", TrackerFlags(tracker="wandb"), place) as tracker:
        assert tracker is NULL_TRACKER
    assert not list(place.iterdir())


@pytest.mark.slow
def test_a_fit_becomes_a_run_that_wandb_can_sync(
    dataset: Dataset, place: Path, kept: Runs, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_RUN_GROUP", "night")
    line = ["fit", "--data", str(dataset.path), "--out", "model", "--json", "fit.json", *FIT]
    assert main([*line, "--tracker", "wandb", "--tracker-mode", "offline"]) == 0
    assert not capfd.readouterr().err
    found = json.loads(Path("fit.json").read_text())
    assert found["model"] == Model.load("model", "cpu").digest
    (run,) = kept()
    assert run.curve("valid_loss", "epoch") == [(one["epoch"], one["valid_loss"]) for one in found["curve"]]
    assert run.config["members"] == 2 and run.config["versions"]["torch"] and run.run.job_type == "fit"
    assert run.run.project == "mbtransfer" and run.run.run_group == "night" and run.exit_codes == [0]
    assert run.summary["error"] == pytest.approx(found["error"])
    (data, model) = (one for kind in ("dataset", "model") for one in run.artifacts if one.type == kind)
    assert (data.type, data.use_after_commit) == ("dataset", True)
    assert (model.type, model.use_after_commit, model.name) == ("model", False, "model")
    assert json.loads(Path("model/tracking.json").read_text())["fit"] == {"id": run.run.run_id, "ended": True}


@pytest.mark.slow
def test_what_prepares_for_tasks_draws_a_curve_for_each(dataset: Dataset, place: Path, kept: Runs) -> None:
    assert main(["fit", "--data", str(dataset.path), "--out", "model", *FIT]) == 0
    line = [
        "prepare",
        "--model",
        "model",
        "--tasks",
        "tap_open",
        "light_on",
        "--updates",
        "3",
        "--labels",
        "100",
    ]
    assert main([*line, "--device", "cpu", "--tracker", "wandb", "--tracker-mode", "offline"]) == 0
    (run,) = kept()
    for task in ("tap_open", "light_on"):
        assert [update for update, _ in run.curve(f"{task}/reward", f"{task}/updates")] == [1, 2, 3]
        assert run.summary[f"{task}/updates"] == 3
    used, *made = run.artifacts
    assert used.use_after_commit and len(made) == 2 and not any(one.use_after_commit for one in made)


@pytest.mark.slow
def test_after_a_crash_the_same_run_goes_on_and_says_how_it_ended(place: Path, kept: Runs) -> None:
    with pytest.raises(ZeroDivisionError), track("fit", OFFLINE, place / "out") as tracker:
        tracker.log({"loss": 1 / 2}, "epoch", 1)
        tracker.log({"loss": 1 / 0}, "epoch", 2)
    with track("fit", OFFLINE, place / "out") as tracker:
        tracker.log({"loss": 1 / 4}, "epoch", 2)
    first, second = kept()
    assert first.run.run_id == second.run.run_id
    assert (first.exit_codes, second.exit_codes) == ([1], [0])


def test_who_is_not_logged_in_is_told_once_and_loses_nothing(
    place: Path, kept: Runs, capfd: pytest.CaptureFixture[str]
) -> None:
    with track("fit", TrackerFlags(tracker="wandb"), place / "out") as tracker:
        for epoch in range(3):
            tracker.log({"loss": 1.0}, "epoch", epoch)
    (line,) = capfd.readouterr().err.splitlines()
    assert "not logged in" in line and "wandb sync" in line
    (run,) = kept()
    assert len(run.curve("loss", "epoch")) == 3


def test_a_tracker_that_dies_is_told_once(place: Path) -> None:
    said: list[str] = []
    tracker = SubprocessTracker(lambda: {"tracker": "wandb"}, said.append)
    tracker.log({"loss": 1.0}, "epoch", 1)
    assert tracker._process is not None
    os.kill(tracker._process.pid, signal.SIGKILL)
    for epoch in range(1000):
        tracker.log({"loss": 1.0}, "epoch", epoch)
    tracker.finish(0)
    assert len(said) == 1 and "ended early" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_a_server_that_does_not_answer_holds_up_nothing(
    place: Path, kept: Runs, there: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if there:
            server.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        with track("fit", TrackerFlags(tracker="wandb"), place / "out") as tracker:
            for epoch in range(3):
                tracker.log({"loss": 1.0}, "epoch", epoch)
        (line,) = capfd.readouterr().err.splitlines()
        assert "goes on alone" in line
        assert ended(int(re.findall(r"process (\d+)", line)[0]))
    (run,) = kept()
    assert len(run.curve("loss", "epoch")) == 3 and run.exit_codes == [0]


def ended(process: int) -> bool:
    """Whether a process ends within a minute."""
    deadline = time.monotonic() + 60
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.1)
        return False
    return True


def test_tensorboard_has_the_curves(place: Path) -> None:
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = FitConfig(data=place / "data", out=place / "out", tracker="tensorboard")
    with track("fit", config, config.out) as tracker:
        for epoch in (1, 2):
            tracker.log({"loss": 1 / epoch}, "epoch", epoch)
        tracker.table("tasks", [{"name": "tap", "success": 1}])
        tracker.summary({"error": 0.5})
    events = loading.EventAccumulator(str(place / "out" / "tensorboard"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    assert "error" in events.Tags()["scalars"]
    assert {"config/text_summary", "tasks/text_summary"} <= set(events.Tags()["tensors"])


def test_tensorboard_names_its_extra(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    flags = TrackerFlags(tracker="tensorboard")
    with pytest.raises(UserError, match=r"mbtransfer\[tensorboard\]"), track("fit", flags, place):
        pass


def test_seeds_share_a_group_and_settings_do_not() -> None:
    groups = [
        opening._begin("fit", config, None, "offline")["group"]
        for config in (
            FitConfig(data=Path("data"), out=Path("a"), seed=0),
            FitConfig(data=Path("data"), out=Path("b"), seed=1),
            FitConfig(data=Path("data"), out=Path("a"), seed=0, members=3),
        )
    ]
    assert groups[0] == groups[1] != groups[2]
