"""Which Meta-World tasks share a scene, and how its environments are made."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import mujoco
import numpy as np

from tasks.errors import TaskError
from tasks.spec import nearest


@dataclass(frozen=True)
class SceneLayout:
    """One scene.

    Attributes:
        fixtures: names of what is not the robot's: its joints in the model's order; see `joint_columns`.
        drawn: Meta-World's tasks in it by our names, and what stays as it is in every episode though Meta-World
            draws it anew (m): where the thing stands, and for some tasks where it shall go.
    """

    fixtures: tuple[str, ...]
    drawn: Mapping[str, tuple[float, ...]]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(self.drawn)


def _one(fixture: str, place: tuple[float, ...], *tasks: str) -> SceneLayout:
    """A thing with one joint, in the same place for all tasks."""
    return SceneLayout((fixture,), dict.fromkeys(tasks, place))


def _free(name: str, **drawn: tuple[float, ...]) -> SceneLayout:
    """A thing that lies free."""
    return SceneLayout(tuple(f"{name}_{part}" for part in ("x", "y", "z", "qx", "qy", "qz")), drawn)


def _plate(**drawn: tuple[float, ...]) -> SceneLayout:
    return SceneLayout(("plate_x", "plate_y"), drawn)


LAYOUTS: dict[str, SceneLayout] = {
    "drawer": _one("drawer", (0.0, 0.9, 0.0), "drawer_open", "drawer_close"),
    "door": _one("door", (0.05, 0.9, 0.15), "door_open", "door_close"),
    "door_bolt": _one("bolt", (0.0, 0.825, 0.15), "door_lock", "door_unlock"),
    "window": _one("window", (0.0, 0.8, 0.16), "window_open", "window_close"),
    "faucet": _one("faucet", (0.0, 0.825, 0.0), "faucet_open", "faucet_close"),
    "handle": _one("handle", (0.0, 0.85, 0.0), "handle_press", "handle_pull"),
    "handle_side": _one("handle", (-0.3, 0.7, 0.0), "handle_press_side", "handle_pull_side"),
    "puck": _free(
        "puck", reach=(0.0, 0.65, 0.02, 0.0, 0.85, 0.175), push=(0.0, 0.65, 0.02, 0.0, 0.85, 0.015),
        pick_place=(0.0, 0.65, 0.02, 0.0, 0.85, 0.175),
    ),
    "puck_wall": _free(
        "puck", push_wall=(0.0, 0.625, 0.015, 0.0, 0.875, 0.015),
        pick_place_wall=(0.0, 0.625, 0.015, 0.0, 0.875, 0.175),
    ),
    "button": _one("button", (0.0, 0.875, 0.115), "button_press"),
    "button_wall": _one("button", (0.0, 0.875, 0.115), "button_press_wall"),
    "button_topdown": _one("button", (0.0, 0.85, 0.115), "button_press_topdown"),
    "button_topdown_wall": _one("button", (0.0, 0.85, 0.115), "button_press_topdown_wall"),
    "dial": _one("dial", (0.0, 0.75, 0.0), "dial_turn"),
    "lever": _one("lever", (0.0, 0.75, 0.0), "lever_pull"),
    "plate": _plate(plate_slide=(0.0, 0.6, 0.0, 0.0, 0.875, 0.0)),
    "plate_back": _plate(plate_slide_back=(0.0, 0.85, 0.0, 0.0, 0.6, 0.015)),
    "plate_side": _plate(plate_slide_side=(0.0, 0.6, 0.0, -0.275, 0.6, 0.0)),
    "plate_back_side": _plate(plate_slide_back_side=(-0.25, 0.6, 0.0, 0.05, 0.6, 0.015)),
    "ball_goal": _free("ball", soccer=(0.0, 0.65, 0.03, 0.0, 0.85, 0.0)),
    "ball_basket": _free("ball", basketball=(0.0, 0.65, 0.03, 0.0, 0.85, 0.0)),
    "shelf": _free("block", shelf_place=(0.0, 0.55, 0.02, 0.0, 0.85, 0.3)),
    "block_back": _free("block", push_back=(0.0, 0.825, 0.02, 0.0, 0.65, 0.02)),
    "block_edge": _free("block", sweep=(0.0, 0.65, 0.02)),
    "puck_hole": _free("puck", hand_insert=(0.0, 0.65, 0.05, 0.0, 0.84, -0.02)),
    "puck_into": _free("puck", sweep_into=(0.0, 0.65, 0.02, 0.0, 0.84, 0.02)),
    "puck_low": _free("puck", pick_out_of_hole=(0.0, 0.75, 0.02, 0.0, 0.55, 0.225)),
    "puck_behind": _free("puck", reach_wall=(0.0, 0.625, 0.015, 0.0, 0.875, 0.175)),
    "plug": _free("plug", peg_unplug_side=(-0.2, 0.7, 0.0)),
    "peg": _free("peg", peg_insert_side=(0.1, 0.6, 0.02, -0.3, 0.55, 0.0)),
    "nut": _free("nut", assembly=(0.0, 0.6, 0.02, 0.0, 0.8, 0.1)),
}  # fmt: skip
"""The middle of what Meta-World draws, where its tasks agree; `window_close` stands 4 cm higher there."""


def parse_name(text: str) -> tuple[str, SceneLayout]:
    """The plain name and the layout that `metaworld:TEXT` means: a scene, or one task of it alone.

    Meta-World's own names are understood too: `drawer-open-v3` is `drawer_open`.

    Raises:
        TaskError: no such scene or task; names the nearest one.
    """
    name = text.removesuffix("-v3").replace("-", "_")
    if name in LAYOUTS:
        return name, LAYOUTS[name]
    for layout in LAYOUTS.values():
        if name in layout.tasks:
            return name, SceneLayout(layout.fixtures, {name: layout.drawn[name]})
    known = [*LAYOUTS, *(task for layout in LAYOUTS.values() for task in layout.tasks)]
    hint = nearest(name, known if get_close_matches(name, known, n=1) else list(LAYOUTS))
    raise TaskError(f"metaworld: no scene or task {text!r} among ours{hint}")


INSTALL = "pip install 'mbtransfer[metaworld]' && pip install --no-deps 'metaworld==3.1.*'"
"""Two steps: its metadata ask for a mujoco that is older than ours, and it runs with ours."""


def load_envs(task: str, layout: SceneLayout) -> Any:
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
