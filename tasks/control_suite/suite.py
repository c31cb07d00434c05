"""dm_control's suite, without a display."""

import importlib
import os
from typing import Any

from tasks.errors import TaskError


def check_installed() -> None:
    """Say what to install where dm_control is missing.

    Raises:
        TaskError: dm_control is not installed.
    """
    try:
        importlib.import_module("dm_control")
    except ModuleNotFoundError as error:
        raise TaskError(
            "dm_control is not installed; from Python 3.13 on that takes two steps: pip install 'mbtransfer[suite]', "
            "and pip install --no-deps 'dm-control==1.0.44'"
        ) from error


def load_suite() -> Any:
    """`dm_control.suite`, imported so that it leaves OpenGL alone.

    When imported, dm_control tries renderers until one loads: without a screen GLFW warns, and a failed EGL
    leaves PyOpenGL unable to use another one. `tasks.render` makes the pictures, so unless `MUJOCO_GL` asks
    for a renderer dm_control gets none.
    """
    unset = "MUJOCO_GL" not in os.environ
    if unset:
        os.environ["MUJOCO_GL"] = "disable"
    try:
        importlib.import_module("dm_control.mujoco")
        return importlib.import_module("dm_control.suite")
    finally:
        if unset:
            del os.environ["MUJOCO_GL"]
