"""Headless rendering.

MuJoCo's own `Renderer` takes its OpenGL context from the environment at the time of import, and frees it in
whatever context is current then, which spoils the pictures of a second one. This one does neither.
"""

import atexit
import contextlib
import copy
import importlib
import os
import platform
import subprocess
import sys
from functools import cache
from types import TracebackType
from typing import Any
from weakref import WeakSet

import mujoco
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from tasks.errors import TaskError
from tasks.simulator import Simulator
from tasks.spec import nearest

LARGEST = 4096
"""Most pixels along one side of a picture."""

_FAST, _FINE = (1024, 0, 16), (8192, 8, 32)
"""Pixels of the shadow map, samples per pixel, slices of round things: all cost time without a GPU."""

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_OFF = ("disable", "disabled", "off", "false", "0")
_ANY = ("", "enable", "enabled", "on", "true", "1")
_TRIAL = (
    "import importlib, sys, mujoco; "
    "context = importlib.import_module('mujoco.' + sys.argv[1]).GLContext(8, 8); context.make_current(); "
    "mujoco.MjrContext(mujoco.MjModel.from_xml_string('<mujoco/>'), 100)"
)


class RenderUnavailable(TaskError):
    """No picture can be made on this machine: one line that says what to install or set."""


class Renderer:
    """Pictures of the states of a scene; use it, like its OpenGL context, in one thread.

    Args:
        scene: what is seen; its `look`, where it has one, else the bare physics.
        width: pixels.
        height: pixels.
        camera: name of a camera; the scene's first one by default.
        fine: smooth edges and sharp shadows, about five times slower: for a picture, not for a film.

    Raises:
        TaskError: a size below 1 or above `LARGEST`, or no such camera.
        RenderUnavailable: no renderer works here.
    """

    def __init__(
        self, scene: Simulator, width: int = 480, height: int = 320, camera: str = "", fine: bool = False
    ) -> None:
        self._gl: Any = None
        self._context: Any = None
        if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
            raise TaskError(f"a picture of {width} x {height} pixels cannot be; each side has 1 to {LARGEST}")
        self._look = scene.look
        self._model = copy.copy(scene.model) if self._look is None else self._look.model()
        self._camera = _camera(self._model, camera)
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        quality = self._model.vis.quality
        quality.shadowsize, quality.offsamples, quality.numslices = _FINE if fine else _FAST
        self._data = mujoco.MjData(self._model)
        self._view = mujoco.MjvScene(self._model, maxgeom=self._model.ngeom + 100)
        self._option = mujoco.MjvOption()
        self._size = mujoco.MjrRect(0, 0, width, height)
        self._open(width, height)

    def frame(self, state: Float[ndarray, " S"]) -> UInt8[ndarray, "H W 3"]:
        """The picture of a state, rows from top to bottom.

        Raises:
            TaskError: the renderer is closed.
        """
        if self._context is None:
            raise TaskError("this renderer is closed; make a new one")
        physics = mujoco.mj_stateSize(self._model, _STATE)  # what a scene keeps beside it comes after
        mujoco.mj_setState(self._model, self._data, state[:physics], _STATE)
        if self._look is not None:
            self._look.dress(self._model, state)
        mujoco.mj_forward(self._model, self._data)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, self._data, self._option, None, self._camera, everything, self._view
        )
        self._gl.make_current()
        mujoco.mjr_render(self._size, self._view, self._context)
        pixels = np.empty((self._size.height, self._size.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._size, self._context)
        return np.ascontiguousarray(pixels[::-1])

    def close(self) -> None:
        """Give the graphics memory back; harmless when done twice."""
        context, self._context = self._context, None
        gl, self._gl = self._gl, None
        if gl is not None and context is not None:
            gl.make_current()
            context.free()
            gl.free()

    def _open(self, width: int, height: int) -> None:
        name = backend()
        try:
            self._gl = _context_class(name)(width, height)
            self._gl.make_current()
            _close_at_exit(self)
            self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        except Exception as error:  # drivers fail with whatever their bindings raise
            reason = type(error).__name__
            raise RenderUnavailable(f"the renderer {name} failed ({reason}); {_REMEDY}") from error

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end the driver may be gone already
            self.close()


_OPEN: WeakSet[Renderer] = WeakSet()


def _close_at_exit(renderer: Renderer) -> None:
    """At exit close it before the driver: what is registered last runs first, so this goes last."""
    _OPEN.add(renderer)
    atexit.unregister(_close_all)
    atexit.register(_close_all)


def _close_all() -> None:
    for renderer in list(_OPEN):
        renderer.close()


def backend() -> str:
    """Name of the renderer: what `MUJOCO_GL` says, or else the first that works: egl, osmesa, glfw.

    Raises:
        RenderUnavailable: none works, or `MUJOCO_GL` turns rendering off.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in _OFF:
        raise RenderUnavailable(f"MUJOCO_GL={wanted} turns rendering off; unset it to get pictures")
    tried = _candidates() if wanted in _ANY else (wanted,)
    if found := _first_that_works(tried):
        return found
    raise RenderUnavailable(f"no renderer works here (tried {', '.join(tried)}); {_REMEDY}")


_REMEDY = "for pictures install OSMesa (Debian and Ubuntu: libosmesa6) or a graphics driver with EGL"


def _candidates() -> tuple[str, ...]:
    if platform.system() != "Linux":
        return ("cgl" if platform.system() == "Darwin" else "glfw",)
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return ("egl", "osmesa", "glfw") if screen else ("egl", "osmesa")


@cache
def _first_that_works(names: tuple[str, ...]) -> str:
    return next((name for name in names if _works(name)), "")


def _works(name: str) -> bool:
    """Whether a new process can open this renderer: one that fails can spoil its process for the next."""
    variables = {**os.environ, "MUJOCO_GL": "disable"}
    if name in ("egl", "osmesa"):
        variables.setdefault("PYOPENGL_PLATFORM", name)
    command = [sys.executable, "-P", "-c", _TRIAL, name]
    try:
        return subprocess.run(command, env=variables, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _context_class(name: str) -> Any:
    return importlib.import_module(f"mujoco.{name}").GLContext


def _camera(model: mujoco.MjModel, name: str) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    names = [model.camera(i).name for i in range(model.ncam)]
    if name and name not in names:
        raise TaskError(f"no camera {name!r}{nearest(name, names) if names else '; the scene has none'}")
    if names:
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = names.index(name) if name else 0
    else:
        mujoco.mjv_defaultFreeCamera(model, camera)
    return camera
