"""The files in examples/sweeps: what W&B's own agent makes of them, and what we make of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna", reason="needs the extra sweeps")

from wandb import wandb_agent

from mbtransfer.cli.commands.sweep import run_sweep
from mbtransfer.cli.parser import command_name, flags, parse
from mbtransfer.config import COMMANDS, SweepConfig
from mbtransfer.data import Dataset
from mbtransfer.sweep.config import read_sweep_file
from mbtransfer.sweep.runner import command_line
from mbtransfer.sweep.search import propose

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "sweeps"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))

pytestmark = pytest.mark.skipif(not FILES, reason="a wheel comes without examples")

SPY = '#!/bin/sh\nfor word; do printf \'%s\\n\' "$word"; done > "$SPY"\n'


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wandb_agent.Agent:
    """W&B's agent as it is when it has been told of a sweep, but for what it would start."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_DIR", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, "")  # so that what the agent sets is undone
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return wandb_agent.Agent(None, None)


def started(agent: wandb_agent.Agent, content: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """The command line that the agent starts for these parameters."""
    lines = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], forward_signals: bool) -> None:
            lines.append(command)

    before, wandb_agent.AgentProcess = wandb_agent.AgentProcess, Process  # type: ignore[misc]
    try:
        agent._sweep_command = content["command"]
        args = {name: {"value": value} for name, value in params.items()}
        agent._command_run({"run_id": "ab12cd34", "args": args, "program": content["program"]})
    finally:
        wandb_agent.AgentProcess = before  # type: ignore[misc]
    return lines[0]


@pytest.mark.parametrize("name", FILES)
def test_the_agent_starts_the_same_line_and_the_command_understands_it(
    name: str, agent: wandb_agent.Agent, tmp_path: Path
) -> None:
    content = yaml.safe_load((EXAMPLES / name).read_text())
    file = read_sweep_file(EXAMPLES / name)
    params = propose(file.content, [], 0)
    assert params is not None and set(params) == set(content["parameters"])
    line = started(agent, content, params)
    assert line == command_line(file.content, params, tmp_path)
    (tmp_path / "python").write_text(SPY)
    (tmp_path / "python").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "SPY": str(tmp_path / "argv"), "WANDB_RUN_ID": "ab12cd34"}
    subprocess.run(line, check=True, env=env)
    argv = (tmp_path / "argv").read_text().splitlines()
    assert argv[:2] == ["-m", "mbtransfer"]
    settings = parse(argv[2:])
    assert settings.tracker == "wandb"
    for key, value in params.items():
        assert getattr(settings, key) in (value, (value,))
    known = {flag.name for flag in flags(COMMANDS[command_name(argv[2:])[0]])}
    assert {"--" + key.replace("_", "-") for key in params} <= known


@pytest.mark.slow
def test_a_shipped_file_runs_at_a_tiny_budget(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ensemble's, by W&B's search, on the pool of the tests; the wandb tracker stays out of it."""
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))  # not wandb/ beside the tests
    text = (EXAMPLES / "ensemble.yaml").read_text()
    text = text.replace("runs/demo/data", str(dataset.path)).replace("runs/sweeps", str(tmp_path))
    text = text.replace('"$@"', '"$@" --epochs 2 --device cpu')
    (tmp_path / "tiny.yaml").write_text(text)
    trials = run_sweep(SweepConfig(file=tmp_path / "tiny.yaml", out=tmp_path / "out", count=2))
    assert [trial.state for trial in trials] == ["finished", "finished"], trials
    assert all(trial.metric and trial.figures["error"] for trial in trials)
    assert len(list((tmp_path / "models").glob("*/manifest.json"))) == 2
    assert json.loads((tmp_path / "out" / "trial-0000" / "summary.json").read_text())["transitions"] > 0
