"""Meta-World's own environments, one for each task, with nothing left to chance."""

import importlib
from importlib.util import find_spec
from typing import Any

import mujoco
import numpy as np

from tasks.errors import TaskError
from tasks.metaworld.layouts import Layout

INSTALL = "pip install 'mbtransfer[metaworld]' && pip install --no-deps 'metaworld==3.1.*'"
"""Two steps: its metadata ask for a mujoco that is older than ours, and it runs with ours."""


def load(task: str, layout: Layout) -> Any:
    """The environment of a task, reset with its thing where the layout has it.

    Raises:
        TaskError: metaworld is not installed, cannot be loaded, or has no such task.
    """
    if find_spec("metaworld") is None:
        raise TaskError(f"metaworld:{task} needs Meta-World: {INSTALL}")
    try:
        known = importlib.import_module("metaworld.env_dict").ALL_V3_ENVIRONMENTS
        theirs = known[f"{task.replace('_', '-')}-v3"]()
    except (ImportError, AttributeError, KeyError) as problem:
        said = f"{type(problem).__name__}: {problem}"
        raise TaskError(
            f"metaworld:{task}: the Meta-World installed is not usable ({said}): {INSTALL}"
        ) from None
    theirs._set_task_called = True  # what its `set_task` does, without the pickle that it reads
    theirs._partially_observable = False
    theirs._freeze_rand_vec = True
    theirs._last_rand_vec = np.array(layout.drawn[task])
    theirs.reset()
    mujoco.mj_forward(theirs.model, theirs.data)
    return theirs
