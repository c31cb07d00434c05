"""What do tracking and progress cost a fit? `python -m benchmarks.tracking --data DATA [--tracker wandb] [--pairs 8]`.

Pairs of the same fit in one process, with a tracker and a drawn bar and without both, in turns first and second.
Told are the ratios of the pairs by the clock, which counts starting and ending the tracker too, and by the
processor time of this process alone, which other work on the machine does not disturb as much.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy import stats

from mbtransfer.config import FitConfig
from mbtransfer.data import Dataset
from mbtransfer.runtime.files import write_json
from mbtransfer.tracking import Artifact, track
from mbtransfer.training.fit import fit_model
from mbtransfer.training.progress import epochs_bar
from tasks.registry import make
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.training.config import TrainingConfig

Seconds = tuple[float, float]


def bare(dataset: Dataset, out: Path, epochs: int) -> None:
    fit_model(make(dataset.header.env), dataset, out, settings=TrainingConfig(epochs=epochs), device="cpu")


def tracked(dataset: Dataset, out: Path, epochs: int, tracker: Literal["wandb", "tensorboard"]) -> None:
    flags = FitConfig(data=dataset.path, out=out, epochs=epochs, tracker=tracker, tracker_mode="offline")
    settings = TrainingConfig(epochs=epochs)
    with track("fit", flags, out) as told, epochs_bar(epochs, tracker=told) as show:
        model = fit_model(
            make(dataset.header.env), dataset, out, settings=settings, device="cpu", report=show
        )
        told.uses(Artifact("dataset", str(dataset.path), dataset.digest))
        told.makes(Artifact.of("model", out, out / MANIFEST))
        told.table("epochs", model.notes["curve"])


def seconds(work: Callable[[], None]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def overhead(pairs: np.ndarray) -> dict[str, Any]:
    """Median of the ratios of [P, 2] seconds less one, and its 95% interval (bootstrap)."""
    more = pairs[:, 1] / pairs[:, 0] - 1
    ends = stats.bootstrap((more,), np.median, rng=np.random.default_rng(0), method="percentile")
    low, high = ends.confidence_interval
    return {"median": float(np.median(more)), "low": float(low), "high": float(high), "pairs": pairs.tolist()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--tracker", choices=["wandb", "tensorboard"], default="wandb")
    parser.add_argument("--pairs", type=int, default=8, help="how many (8)")
    parser.add_argument("--epochs", type=int, default=20, help="of each fit (20)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["FORCE_COLOR"] = "1"  # the bar is drawn as on a terminal, into nothing
    dataset, measured = Dataset.open(asked.data), []
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w", encoding="utf-8") as nothing,
        redirect_stderr(nothing),
    ):
        os.environ["WANDB_DIR"] = folder
        for pair in range(asked.pairs + 1):  # the first warms up
            works = [
                lambda n=pair: bare(dataset, Path(folder, f"bare-{n}"), asked.epochs),
                lambda n=pair: tracked(dataset, Path(folder, f"tracked-{n}"), asked.epochs, asked.tracker),
            ]
            order = (0, 1) if pair % 2 else (1, 0)
            taken = {which: seconds(works[which]) for which in order}
            measured.append([taken[0], taken[1]])
            print(f"pair {pair}: {taken[0][0]:.2f} s without, {taken[1][0]:.2f} s with", flush=True)
    times = np.array(measured[1:])  # [P, 2, 2]: pair, without and with, clock and processor
    found = {"clock": overhead(times[:, :, 0]), "processor": overhead(times[:, :, 1])}
    for name, one in found.items():
        print(f"{asked.tracker}, {name}: {one['median']:+.1%} [{one['low']:+.1%}, {one['high']:+.1%}]")
    if asked.json:
        settings = {"tracker": asked.tracker, "epochs": asked.epochs, "transitions": dataset.steps}
        write_json(asked.json, found | {"settings": settings})
    return 0


if __name__ == "__main__":
    sys.exit(main())
