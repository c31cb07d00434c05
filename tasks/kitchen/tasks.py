"""The kitchen's named tasks and their split.

Source tasks reward the planner while data is collected. Held-out targets ask the same fixtures for other
positions. Held-out fixtures (slide cabinet, right knob, the kettle sideways) are never rewarded then.
A fixture that is moved to its very stop counts as open, on or shut: such targets lie within tolerance of it.
"""

from functools import cache

from tasks.combinators import all_of
from tasks.kitchen.scene import spec
from tasks.task import Move, Task, move

_SOURCE = {
    "microwave_open": ("microwave", 1.4), "microwave_close": ("microwave", 0.0),
    "hinge_cabinet_open": ("hinge_cabinet", 1.4), "hinge_cabinet_close": ("hinge_cabinet", 0.0),
    "drawer_open": ("drawer", 0.28), "drawer_close": ("drawer", 0.0),
    "light_on": ("light_switch", 0.6), "light_off": ("light_switch", -0.6),
    "left_knob_on": ("left_knob", 1.5), "left_knob_off": ("left_knob", 0.0),
    "tap_open": ("tap", 0.6), "tap_close": ("tap", -0.6),
    "kettle_back": ("kettle_y", 0.12), "kettle_front": ("kettle_y", -0.12),
}  # fmt: skip
_HELD_OUT_TARGETS = {
    "microwave_half": ("microwave", 0.75), "hinge_cabinet_half": ("hinge_cabinet", 0.75),
    "drawer_half": ("drawer", 0.15), "light_dim": ("light_switch", 0.0),
    "left_knob_low": ("left_knob", 0.7), "tap_half": ("tap", 0.0), "kettle_middle": ("kettle_y", 0.0),
}  # fmt: skip
_HELD_OUT_FIXTURES = {
    "slide_cabinet_open": ("slide_cabinet", 0.34), "slide_cabinet_half": ("slide_cabinet", 0.18),
    "slide_cabinet_close": ("slide_cabinet", 0.0),
    "right_knob_on": ("right_knob", 1.5), "right_knob_low": ("right_knob", 0.7),
    "right_knob_off": ("right_knob", 0.0),
    "kettle_left": ("kettle_x", -0.12), "kettle_right": ("kettle_x", 0.12),
}  # fmt: skip
_CORNERS = {
    "kettle_front_left": ("kettle_left", "kettle_front"),
    "kettle_front_right": ("kettle_right", "kettle_front"),
    "kettle_back_left": ("kettle_left", "kettle_back"),
    "kettle_back_right": ("kettle_right", "kettle_back"),
}


@cache
def named_tasks() -> dict[str, Task]:
    """Every named task by name: source tasks, then held-out targets, then held-out fixtures."""
    moves: dict[str, Move] = {}
    for split, table in (("source", _SOURCE), ("held_out", _HELD_OUT_TARGETS | _HELD_OUT_FIXTURES)):
        for name, (fixture, to) in table.items():
            moves[name] = move(spec(), fixture, to, name=name, split=split)
    corners = {
        name: all_of(name, [moves[part] for part in parts], split="held_out")
        for name, parts in _CORNERS.items()
    }
    return {**moves, **corners}
