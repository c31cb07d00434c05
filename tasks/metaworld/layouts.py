"""Which of Meta-World's tasks share a scene, and where the thing stands in it."""

from dataclasses import dataclass
from difflib import get_close_matches

from tasks.errors import TaskError
from tasks.spec import nearest


@dataclass(frozen=True)
class Layout:
    """One scene.

    Attributes:
        tasks: Meta-World's tasks in it, by our names.
        fixtures: names of the joints that are not the robot's, in the model's order.
        place: what Meta-World draws anew in every episode (m): where the thing stands, then a goal if there is one.
    """

    tasks: tuple[str, ...]
    fixtures: tuple[str, ...]
    place: tuple[float, ...]


PLATE = ("plate_x", "plate_y")

LAYOUTS: dict[str, Layout] = {
    "drawer": Layout(("drawer_open", "drawer_close"), ("drawer",), (0.0, 0.9, 0.0)),
    "door": Layout(("door_open", "door_close"), ("door",), (0.05, 0.9, 0.15)),
    "door_bolt": Layout(("door_lock", "door_unlock"), ("bolt",), (0.0, 0.825, 0.15)),
    "window": Layout(("window_open", "window_close"), ("window",), (0.0, 0.8, 0.16)),
    "faucet": Layout(("faucet_open", "faucet_close"), ("faucet",), (0.0, 0.825, 0.0)),
    "handle": Layout(("handle_press", "handle_pull"), ("handle",), (0.0, 0.85, 0.0)),
    "handle_side": Layout(("handle_press_side", "handle_pull_side"), ("handle",), (-0.3, 0.7, 0.0)),
    "button": Layout(("button_press",), ("button",), (0.0, 0.875, 0.115)),
    "button_wall": Layout(("button_press_wall",), ("button",), (0.0, 0.875, 0.115)),
    "button_topdown": Layout(("button_press_topdown",), ("button",), (0.0, 0.85, 0.115)),
    "button_topdown_wall": Layout(("button_press_topdown_wall",), ("button",), (0.0, 0.85, 0.115)),
    "dial": Layout(("dial_turn",), ("dial",), (0.0, 0.75, 0.0)),
    "lever": Layout(("lever_pull",), ("lever",), (0.0, 0.75, 0.0)),
    "plate": Layout(("plate_slide",), PLATE, (0.0, 0.6, 0.0, 0.0, 0.875, 0.0)),
    "plate_back": Layout(("plate_slide_back",), PLATE, (0.0, 0.85, 0.0, 0.0, 0.6, 0.015)),
    "plate_side": Layout(("plate_slide_side",), PLATE, (0.0, 0.6, 0.0, -0.275, 0.6, 0.0)),
    "plate_back_side": Layout(("plate_slide_back_side",), PLATE, (-0.25, 0.6, 0.0, 0.05, 0.6, 0.015)),
}
"""The middle of what Meta-World draws, where its tasks agree; `window_close` stands 4 cm higher there."""


def asked(text: str) -> tuple[str, Layout]:
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
            return name, Layout((name,), layout.fixtures, layout.place)
    known = [*LAYOUTS, *(task for layout in LAYOUTS.values() for task in layout.tasks)]
    hint = nearest(name, known if get_close_matches(name, known, n=1) else list(LAYOUTS))
    raise TaskError(f"metaworld: no scene or task {text!r} with a hinge or slide{hint}")
