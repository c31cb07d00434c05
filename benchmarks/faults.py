"""Does `kill -9` lose anything? `python -m benchmarks.faults [--instants 50] [--commands fit evaluate]`.

Each command runs once undisturbed. Then, again and again from nothing, it is killed at a random instant (its own
process, or all of its processes) and given again until it ends well: what it leaves must be the same. One thread,
CPU.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mbtransfer.data import Dataset
from mbtransfer.evaluation.results import read_rows
from mbtransfer.model import Model
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal

KILLS = 2
"""Most times that one run is killed before it may end."""

SWEEP = """
program: mbtransfer
method: grid
metric: {name: splits/source/success_mean, goal: maximize}
parameters: {candidates: {values: [2, 4]}, seeds: {values: [0, 1]}}
command: [python, -m, mbtransfer, evaluate, --dynamics, oracle, --reward, "true", --tasks, drawer_open, --episodes, "1",
  --horizon, "2", --iterations, "1", --workers, "1", "${args}"]
"""

Line = Callable[[Path, Path], list[str]]
Print = Callable[[Path], str]


def commands(home: Path) -> dict[str, tuple[list[str], Print]]:
    """What is run, with `{out}` for its folder, and what tells whether two outcomes are the same."""
    data, model, small = home / "data", home / "model", "--candidates 4 --horizon 2"
    lines: dict[str, tuple[str, Print]] = {
        "collect": ("--out {out} --steps 12000 --episode-steps 40 --workers 2", _data),
        "fit": (f"--data {data} --out {{out}} --epochs 4 --hidden 16 --members 2", _model),
        "adapt": (f"--model {model} --task drawer_open --episodes 1 --out {{out}} {small}", _model),
        "evaluate": (
            f"--model {model} --tasks drawer_open tap_open --episodes 1 --seeds 0 1 {small} --rows {{out}}/rows.csv "
            "--workers 2", _rows,
        ),
        "sweep": (f"{home / 'sweep.yaml'} --out {{out}}", _trials),
    }  # fmt: skip
    return {name: ([name, *line.split()], same) for name, (line, same) in lines.items()}


def _data(out: Path) -> str:
    return Dataset.open(out).digest


def _model(out: Path) -> str:
    return Model.load(out, device="cpu").digest


def _rows(out: Path) -> str:
    rows = read_rows(out / "rows.csv").drop(columns="plan_ms")
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def _trials(out: Path) -> str:
    trials = [json.loads(path.read_text()) for path in sorted(out.glob("*/trial.json"))]
    return json.dumps([[trial[name] for name in ("params", "state", "metric")] for trial in trials])


def make_inputs(home: Path) -> None:
    """What the commands begin from: a dataset, a model and a sweep file."""
    (home / "sweep.yaml").write_text(SWEEP)
    for line in (
        f"collect --out {home / 'data'} --steps 8000 --episode-steps 40",
        f"fit --data {home / 'data'} --out {home / 'model'} --epochs 2 --hidden 16",
    ):
        run(line.split(), None, random.Random(0))


def run(line: list[str], after: float | None, rng: random.Random) -> bool:
    """Run a command; kill it after so many seconds, unless it has ended. Whether it ended well."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mbtransfer", *line], env=env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        errors = process.communicate(timeout=after)[1]
    except subprocess.TimeoutExpired:
        if rng.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        return False
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(line)} ended with {process.returncode}: {errors.strip()}")
    return True


def survived(line: list[str], same: Print, home: Path, name: str, instants: int, console: Terminal) -> int:
    """At how many of the instants nothing was lost."""

    def outcome(folder: Path) -> list[str]:
        shutil.rmtree(folder, ignore_errors=True)
        return [part.format(out=folder) for part in line]

    whole, out, rng = home / f"{name}-whole", home / f"{name}-killed", random.Random(name)
    began = time.monotonic()
    run(outcome(whole), None, rng)
    length, expected = time.monotonic() - began, same(whole)
    kills = good = 0
    with progress_bar(console, name, instants, "instants") as advance:
        while kills < instants:
            asked, here = outcome(out), 0
            while here < min(KILLS, instants - kills) and not run(asked, rng.uniform(0.0, length), rng):
                here += 1
            while not run(asked, None, rng):
                pass
            kills += here
            good += here if same(out) == expected else 0
            advance(here)
    return good


def main() -> int:
    """Kill, go on, compare; 0 if nothing was ever lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--instants", type=int, default=50, help="kills of each command (50)")
    parser.add_argument("--commands", nargs="*", help="which of them (all)")
    asked, console, lost = parser.parse_args(), Terminal(), 0
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(home := Path(folder))
        for name, (command, same) in commands(home).items():
            if not asked.commands or name in asked.commands:
                good = survived(command, same, home, name, asked.instants, console)
                told = f"{name}: {good} of {asked.instants} kills survived with an equal result"
                console.print(told, highlight=False)
                lost += asked.instants - good
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
