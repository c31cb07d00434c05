"""The commands one after the other, as a user calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.evaluation.results import read_rows
from mbtransfer.model import Model
from tests.integration.pipeline.line import COMMAND, ENVIRONMENT, FIT, SEARCH, done
from world_models.checkpoint.storage import digest, load_tensors

pytestmark = pytest.mark.slow


def test_evaluate_writes_rows_and_a_summary(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows, path = tmp_path / "rows.csv", tmp_path / "found.json"
    line = ("evaluate", "--model", model, "--tasks", "tap_open", "microwave_half", "--seeds", "0", "1",
            "--labels", "300",
            "--episodes", "2", "--workers", "1", "--rows", rows, "--json", path, *SEARCH)  # fmt: skip
    assert "tap_open" in done(*line)
    found = json.loads(path.read_text())
    assert set(found) == {"tasks", "splits", "decisions", "diverged", "plan_ms", "settings"}
    assert [(task["name"], task["split"], task["episodes"]) for task in found["tasks"]] == [
        ("tap_open", "source", 4), ("microwave_half", "held_out", 4),
    ]  # fmt: skip
    assert {"name", "split", "episodes", "success_rate", "return_mean", "steps_to_success_mean"} <= set(
        found["tasks"][0]
    )
    for split in ("source", "held_out"):
        low, high = found["splits"][split]["success_ci95"]
        assert 0 <= low <= found["splits"][split]["success_mean"] <= high <= 1
        assert {"success_iqm", "success_median", "success_min"} <= set(found["splits"][split])
    assert set(found["plan_ms"]) == {"p50", "p95", "p99", "first"} and found["settings"]["planner"] == "cem"
    table = read_rows(rows)
    assert len(table) == 8 and set(table["reward"]) == set(table["dynamics"]) == {"learned"}
    capfd.readouterr()
    assert main([str(part) for part in line]) == 0
    assert "8 of 8 episodes are in" in capfd.readouterr().out  # the same command again finds all done
    assert main(["report", str(tmp_path)]) == 0
    assert "tap open" in (tmp_path / "report.html").read_text().replace("_", " ")


def test_check_warns_or_trusts_and_writes_why(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    (tmp_path / "own.yaml").write_text("name: own\nsteps: [tap_open, light_on]\n")
    recipe = tmp_path / "own.yaml"
    done("check", "--model", model, "--recipe", recipe, "--json", path, "--device", "cpu")
    found = json.loads(path.read_text())
    assert [step["task"] for step in found["steps"]] == ["tap_open", "light_on"]
    assert found["trusted"] == (not found["warnings"])
    assert found["risk"] == max(step["risk"] for step in found["steps"])
    assert all(0 <= step[key] <= 1 for step in found["steps"] for key in ("coverage", "risk"))


def test_adapt_makes_a_model_that_can_be_evaluated(model: Path, tmp_path: Path) -> None:
    before = Model.load(model, device="cpu").digest
    out, path = tmp_path / "adapted", tmp_path / "adapt.json"
    done("adapt", "--model", model, "--task", "slide_cabinet_open", "--episodes", "1", "--out", out,
         "--json", path, *SEARCH)  # fmt: skip
    found = json.loads(path.read_text())
    assert found["task"] == "slide_cabinet_open" and found["episodes"] == 1
    for part in ("new", "old"):
        assert all(0 <= found[part][when] <= 1 for when in ("before", "after"))
    assert Model.load(model, device="cpu").digest == before != Model.load(out, device="cpu").digest
    done(
        "evaluate",
        "--model",
        out,
        "--tasks",
        "slide_cabinet_open",
        "--episodes",
        "1",
        "--workers",
        "1",
        *SEARCH,
    )


def test_a_fit_that_is_killed_goes_on_where_it_was(data: Path, model: Path, tmp_path: Path) -> None:
    line = ["fit", "--data", str(data), "--out", str(tmp_path / "model"), *FIT]
    process = subprocess.Popen([*COMMAND, *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=ENVIRONMENT)  # fmt: skip
    state = tmp_path / "model" / "training.safetensors"
    while process.poll() is None and not state.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert not (tmp_path / "model" / "manifest.json").exists()
    assert "history" in json.dumps(load_tensors(state)[1])
    done(*line)
    whole, resumed = (Model.load(folder, device="cpu") for folder in (model, tmp_path / "model"))
    assert resumed.digest == whole.digest
    assert [epoch["epoch"] for epoch in resumed.notes["curve"]] == [1, 2, 3, 4]
    assert not state.exists()


def test_commands_leave_the_model_as_it_is(model: Path) -> None:
    """Last, after all that was done with it."""
    loaded = Model.load(model, device="cpu")
    (pool,) = model.glob("pool-*")
    assert digest(vars(loaded.pool))[:16] in pool.name
