"""Does a rerun always go on? `python -m benchmarks.repeats [--count 200]`.

Each time in a new process and with default settings: `evaluate --rows` for one seed, then for two. The second run must
keep the first one's rows and add its own; all files must be the same, but for the time that decisions took.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mbtransfer.cli.main import main as command
from mbtransfer.evaluation.results import read_rows
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal


def evaluated(model: Path, rows: Path, seeds: str) -> str:
    """Run the command: its rows without times, or its error."""
    line = (
        f"evaluate --model {model} --tasks drawer_open --episodes 1 --rows {rows} --workers 1 --seeds {seeds}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mbtransfer", *line.split()], capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        return done.stderr.strip()
    return read_rows(rows).drop(columns="plan_ms").to_csv(index=False)


def main() -> int:
    """Evaluate, go on, compare; 0 if it is always the same."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repeats", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="repetitions (200)")
    asked, console, good, expected = parser.parse_args(), Terminal(), 0, ("", "")
    with (
        tempfile.TemporaryDirectory() as folder,
        progress_bar(console, "repeating", asked.count, "times") as advance,
    ):
        home = Path(folder)
        for line in (
            f"collect --out {home}/data --steps 400 --episode-steps 20 --workers 1",
            f"fit --data {home}/data --out {home}/model --epochs 1 --hidden 8 --members 2",
        ):
            if command(line.split()):
                raise SystemExit(f"{line} failed")
        for number in range(asked.count):
            rows = home / f"rows-{number}.csv"
            found = evaluated(home / "model", rows, "0"), evaluated(home / "model", rows, "0 1")
            expected = expected if number else found
            good += found == expected and found[1].startswith(found[0])
            advance(1)
    console.print(f"{good} of {asked.count} repetitions went on with the same rows")
    return int(good < asked.count)


if __name__ == "__main__":
    raise SystemExit(main())
