"""The commands whose crash points are tried, with small inputs, and what tells whether two outcomes are the same."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.evaluation.results import read_rows
from mbtransfer.model import Model
from mbtransfer.training.policy import prepared_digest

SWEEP = """
program: mbtransfer
method: grid
metric: {name: splits/source/success_mean, goal: maximize}
parameters: {candidates: {values: [2, 4]}}
command: [python, -m, mbtransfer, evaluate, --dynamics, oracle, --reward, "true", --tasks, drawer_open, --episodes, "1",
  --horizon, "2", --iterations, "1", --workers, "1", "${args}"]
"""

PROTOCOL = """
about: Things to be moved.
env: kitchen
rounds: [{steps: 300, behaviours: [babble], episode_steps: 10}]
fit: {members: 2, hidden: 8, epochs: 1}
evaluate:
  learned: {horizon: 2, candidates: 4, iterations: 1, episodes: 1, labels: 100}
tasks: [drawer_open]
measure: success
"""

LOGS = ("output.txt", "lock", "history.jsonl")
"""Files that may end early when power is lost: nothing is made of them."""


@dataclass(frozen=True)
class Command:
    """A command line with `{out}` for its folder.

    Attributes:
        name: of the command.
        line: its words.
        outcome: what it left, as text.
        start: a folder that `{out}` begins as a copy of; None for nothing.
    """

    name: str
    line: str
    outcome: Callable[[Path], str]
    start: Path | None = None

    def begin(self, out: Path) -> None:
        """Make the folder as it is before the command."""
        if self.start:
            shutil.copytree(self.start, out)

    def run(self, out: Path) -> str:
        """Run the command, which must end well, and tell what it left."""
        code = main(self.line.format(out=out).split())
        if code:
            raise SystemExit(f"{self.name} ended with {code}")
        return self.outcome(out)

    def may_be_lost(self, path: Path) -> bool:
        """Whether a loss of power may undo the last of it."""
        return path.name in LOGS


def commands(home: Path) -> list[Command]:
    """What is run."""
    data, model, small = home / "data", home / "model", "--candidates 4 --horizon 2"
    return [
        Command("collect", "collect --out {out} --steps 120 --episode-steps 20 --workers 1", _data),
        Command("fit", f"fit --data {data} --out {{out}} --epochs 3 --hidden 8 --members 2", _model),
        Command("adapt", f"adapt --model {model} --task drawer_open --episodes 1 --out {{out}} {small}", _model),
        Command(
            "evaluate",
            f"evaluate --model {model} --tasks drawer_open tap_open --episodes 2 --seeds 0 {small} "
            "--rows {out}/rows.csv --json {out}/summary.json --workers 1", _rows,
        ),
        Command(
            "prepare", "prepare --model {out} --tasks drawer_open --updates 1 --labels 100", prepared_digest, model
        ),
        Command("dataset import", f"dataset import {home / 'd4rl.npz'} --out {{out}} --control-dt 0.1", _data),
        Command("dataset strip", f"dataset strip {data} --out {{out}} --tasks drawer_open", _data),
        Command("reproduce", f"reproduce {home / 'protocol.yaml'} --out {{out}} --table {{out}}/table.md", _table),
        Command("report", "report {out}", _report, home / "rows"),
        Command("sweep", f"sweep {home / 'sweep.yaml'} --out {{out}}", _trials),
    ]  # fmt: skip


def make_inputs(home: Path) -> str:
    """What the commands begin from."""
    (home / "sweep.yaml").write_text(SWEEP)
    (home / "protocol.yaml").write_text(PROTOCOL)
    obs, actions = np.zeros((30, 3), np.float32), np.zeros((30, 2), np.float32)
    ends = np.arange(30) % 10 == 9
    np.savez(home / "d4rl.npz", observations=obs, actions=actions, rewards=np.zeros(30), terminals=ends)
    for line in (
        f"collect --out {home / 'data'} --steps 400 --episode-steps 20 --workers 1",
        f"fit --data {home / 'data'} --out {home / 'model'} --epochs 1 --hidden 8 --members 2",
        f"evaluate --model {home / 'model'} --tasks drawer_open --episodes 2 --candidates 2 --horizon 1 "
        f"--workers 1 --rows {home / 'rows' / 'rows.csv'}",
    ):
        if code := main(line.split()):
            raise SystemExit(f"{line} ended with {code}")
    return ""


def _data(out: Path) -> str:
    return Dataset.open(out).digest


def _model(out: Path) -> str:
    return Model.load(out, device="cpu").digest


def _rows(out: Path) -> str:
    table = read_rows(out / "rows.csv").drop(columns="plan_ms").to_csv(index=False)
    return table + str(json.loads((out / "summary.json").read_text())["splits"])


def _table(out: Path) -> str:
    """The table without its last lines, which tell how long things took."""
    lines = (out / "table.md").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def _report(out: Path) -> str:
    return hashlib.sha256((out / "report.html").read_bytes()).hexdigest()


def _trials(out: Path) -> str:
    trials = [json.loads(path.read_text()) for path in sorted(out.glob("*/trial.json"))]
    return json.dumps([[trial[name] for name in ("params", "state", "metric")] for trial in trials])
