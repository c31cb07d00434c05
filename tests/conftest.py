"""What holds for every test: shapes are checked, nothing leaves the machine, one thread per worker."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Set before torch, MuJoCo or W&B are imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
if "MBTRANSFER_CACHE" not in os.environ:  # one for all workers of a run, and none of the user's own
    os.environ["MBTRANSFER_CACHE"] = tempfile.mkdtemp(prefix="mbtransfer-tests-")
    atexit.register(shutil.rmtree, os.environ["MBTRANSFER_CACHE"], ignore_errors=True)

import hypothesis
import jaxtyping
import pytest
import torch

# Every jaxtyping annotation of the packages becomes a check at run time. It must come before their import.
jaxtyping.install_import_hook(["tasks", "world_models", "planners", "mbtransfer"], "beartype.beartype")

# No deadline: two workers share two cores. Derandomised: the same examples on each machine and run.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("steady")

torch.set_num_threads(1)

# Modules beside the tests that hold what several of them share: a failed assertion in there is explained too.
pytest.register_assert_rewrite(*(f"tests.{folder}" for folder in ("integration", "mbtransfer", "tasks")))


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded torch generator, so that no test needs the global one."""
    return torch.Generator().manual_seed(0)
