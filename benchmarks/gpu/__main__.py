"""`python -m benchmarks.gpu --out DIR`: measure this machine's GPU in a few minutes; gpu.json and gpu.md.

Correctness beside the CPU comes first, then decisions in each number format, many episodes at once, training,
`prepare`, and several streams. A part that fails is named with its reason, and the others go on.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu import measure
from benchmarks.gpu.page import page
from mbtransfer.errors import USER_ERRORS
from mbtransfer.runtime.environment import machine
from mbtransfer.runtime.files import write_json, write_text
from mbtransfer.speed.workload import Work


def main() -> int:
    """Measure and write; 0 if all is correct, 1 if something is not, 2 if there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder (runs/gpu)")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N; cpu tries the script itself (cuda)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure (5)")
    asked = parser.parse_args()
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: PyTorch sees no CUDA device here; run this on a machine with one", file=sys.stderr)
        return 2
    found: dict[str, Any] = {"machine": machine(), "device": asked.device}
    work, seconds = Work(device=asked.device), asked.seconds
    small = work if asked.device.startswith("cuda") else Work(candidates=16, iterations=1, horizon=4)
    sizes = measure.BATCHES if asked.device.startswith("cuda") else (2,)
    parts: dict[str, Callable[[], Any]] = {
        "correctness": lambda: measure.correctness(small),
        "search": lambda: measure.search_finds(asked.device),
        "decisions": lambda: measure.decisions(small, seconds),
        "batches": lambda: measure.batches(asked.device, seconds, sizes),
        "training": lambda: measure.training(asked.device, seconds),
        "streams": lambda: measure.streams(small, seconds),
    }
    try:
        for name, part in parts.items():
            begin = perf_counter()
            found[name] = part()
            print(f"{name}: {perf_counter() - begin:.0f} s", flush=True)
            write_json(asked.out / "gpu.json", found)  # what is there is kept, whatever comes
        write_text(asked.out / "gpu.md", page(found))
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(page(found))
    return 0 if found["search"] and all(row["good"] for row in found["correctness"]) else 1


if __name__ == "__main__":
    sys.exit(main())
