"""How fast planning is, beside what one would install instead of this package.

    python -m benchmarks.peers [--json FILE] [--threads 1] [--seconds 10]

All plan with the same weights, the same reward and the same number of model steps (candidates x horizon x
iterations x particles), one after the other in one process. Before anything is timed it is checked that the
networks predict the same, that the steps are as many as counted, and that the plans are good for something.
What is not installed is left out. The peers do not belong into a working environment; to have them all:

    python3.11 -m venv /tmp/peers && cd <this repository>
    /tmp/peers/bin/pip install torch==2.13.0   # alone and first: a plain torch may bring gigabytes of CUDA
    /tmp/peers/bin/pip install -e . 'mujoco==3.11.*' 'dm-control==1.0.44' -r benchmarks/peers/requirements.txt
    /tmp/peers/bin/pip install --no-deps mbrl==0.2.0
    OMP_NUM_THREADS=1 /tmp/peers/bin/python -m benchmarks.peers
"""

import argparse
import logging
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.peers.check import check
from benchmarks.peers.roster import gather
from benchmarks.peers.table import show, summarise
from benchmarks.peers.timing import seconds_per_decision
from benchmarks.peers.work import Work
from mbtransfer.runtime.files import write_json

PACKAGES = ("torch", "mbtransfer", "mbrl", "hydra-core", "torchrl", "tensordict", "pytorch-mppi")


def measure(seconds: float) -> dict[str, Any]:
    """Everything, on as many threads as torch has now.

    Args:
        seconds: time for each planner.
    """
    work = Work()
    entries, missing = gather(work)
    checked = {entry.name: check(entry, work) for entry in entries}
    durations = seconds_per_decision(entries, work, seconds)
    return {
        "rows": summarise(entries, checked, durations, work.sizes.model_steps),
        "sizes": asdict(work.sizes) | {"model_steps": work.sizes.model_steps},
        "machine": {
            "processor": _processor(), "capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        },
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "missing": missing,
    }  # fmt: skip


def _processor() -> str:
    """Its name where Linux tells it."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure beside peers.")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds for each planner (10)")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    found = measure(asked.seconds)
    show(found, Console(width=100))
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
