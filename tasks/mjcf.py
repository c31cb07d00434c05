"""MJCF models through dm_control, without a display."""

import importlib
import os
from typing import Any

import mujoco


def compiled(mjcf: str) -> mujoco.MjModel:
    """The model that dm_control makes of an MJCF text."""
    model: mujoco.MjModel = _dm_mujoco().Physics.from_xml_string(mjcf).model.ptr
    return model


def _dm_mujoco() -> Any:
    """`dm_control.mujoco`, imported so that it leaves OpenGL alone.

    When imported, dm_control tries renderers until one loads: without a screen GLFW warns, and a failed EGL
    leaves PyOpenGL unable to use another one. `tasks.render` makes the pictures, so unless `MUJOCO_GL` asks
    for a renderer dm_control gets none.
    """
    unset = "MUJOCO_GL" not in os.environ
    if unset:
        os.environ["MUJOCO_GL"] = "disable"
    try:
        return importlib.import_module("dm_control.mujoco")
    finally:
        if unset:
            del os.environ["MUJOCO_GL"]
