"""The job of a sweep that an engine gives to its workers: one trial, in a process of this machine or on a node."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mbtransfer.config import cores
from mbtransfer.errors import UserError
from mbtransfer.sweep import engine
from mbtransfer.sweep.execute import OUTPUT, Ended, do_trial
from mbtransfer.sweep.trial import Trial, read_trials
from mbtransfer.tracking.trial import HISTORY, SUMMARY, VARIABLE


@dataclass(frozen=True)
class Here:
    """Trials on this machine, in the sweep's folder.

    Attributes:
        content: of the sweep file.
        out: the sweep's folder, absolute.
        home: where the sweep was begun; commands run there.
        environment: of the sweep.
        workers: trials at a time; they share the cores.
    """

    content: dict[str, Any]
    out: Path
    home: Path
    environment: dict[str, str]
    workers: int

    def __call__(self, trial: Trial) -> Ended:
        """Do it."""
        folder = self.out / trial.name
        known = _variables(self.environment, folder, folder)
        if self.workers > 1:
            known.setdefault("OMP_NUM_THREADS", str(max(1, cores() // self.workers)))
        return do_trial(
            self.content, trial, folder, home=self.home, environment=known, stops=self._stops
        )  # fmt: skip

    def _stops(self, now: Trial) -> bool:
        """Whether it does too badly beside all others, those that are running too."""
        if "early_terminate" not in self.content:
            return False
        others = [trial for trial in read_trials(self.out) if trial.number != now.number]
        return engine.stops(self.content, [*others, now])


@dataclass(frozen=True)
class Afar:
    """Trials on the nodes of a cluster; what they leave travels back to the sweep.

    Attributes:
        content: of the sweep file.
        out: the sweep's folder, absolute; nodes need not see it.
        home: where the sweep was begun: a shared folder, in which commands run.
    """

    content: dict[str, Any]
    out: Path
    home: Path

    def __call__(self, trial: Trial) -> Ended:
        """Do it.

        Raises:
            UserError: the node does not see `home`.
        """
        if not self.home.is_dir():
            raise UserError(
                f"a node of the cluster has no folder {self.home}; begin the sweep on a shared disk"
            )
        folder = self.out / trial.name
        # The same for every try, so that on a node one waits for the end of another's command: see inherited_lock.
        scratch = Path(tempfile.gettempdir()) / f"mbtransfer-{os.getuid()}-{run_id(folder)}"
        ended = do_trial(
            self.content, trial, scratch, home=self.home,
            environment=_variables(os.environ, folder, scratch), stops=lambda now: False,
        )  # fmt: skip
        left = {name: scratch / name for name in (OUTPUT, HISTORY, SUMMARY)}
        files = {name: path.read_bytes() for name, path in left.items() if path.is_file()}
        shutil.rmtree(scratch, ignore_errors=True)
        return replace(ended, files=files)


def run_id(folder: Path) -> str:
    """A trial's id for W&B and for paths of its own: the same wherever and however often it is done."""
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]


def _variables(known: Mapping[str, str], folder: Path, told: Path) -> dict[str, str]:
    """As W&B's agent sets them, and the folder for what is told; `python` is the one that runs the sweep."""
    path = os.pathsep.join([str(Path(sys.executable).parent), known.get("PATH", os.defpath)])
    own = {VARIABLE: str(told.resolve()), "WANDB_RUN_ID": run_id(folder), "PATH": path}
    return {"WANDB_MODE": "disabled"} | dict(known) | own
