"""Additional rewards for dm_control's bodies: backward, flips, jumps, reaching.

Laskin et al. (2021), "URLB", and Yarats et al. (2022), "ExORL", measure transfer on such rewards. Each is a
function of dm_control's physics, from 0 to 1, as the suite's own are.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mujoco
import numpy as np
from dm_control.utils.rewards import tolerance

Variant = Callable[[Any], float]
"""Physics to reward."""

SPIN_SPEED = 5.0
"""Angular momentum of a flip about the body (kg m2/s), as in URLB."""

CORNERS = {
    "top_left": (-1.0, 1.0),
    "top_right": (1.0, 1.0),
    "bottom_left": (-1.0, -1.0),
    "bottom_right": (1.0, -1.0),
}


def angular_momentum(physics: Any, body: str = "torso") -> Any:
    """Of the body and all that hangs on it, about its centre of mass (kg m2/s), [3]."""
    mujoco.mj_subtreeVel(physics.model.ptr, physics.data.ptr)
    return physics.named.data.subtree_angmom[body]


def _walker(physics: Any, motion: float) -> float:
    """Upright as well as in motion."""
    standing = tolerance(physics.torso_height(), (1.2, np.inf), margin=0.6)
    upright = (1 + physics.torso_upright()) / 2
    return (3 * standing + upright) / 4 * (5 * motion + 1) / 6


def _fast(speed: float, wanted: float) -> float:
    return tolerance(speed, (wanted, np.inf), margin=wanted, value_at_margin=0, sigmoid="linear")


def _walker_backward(physics: Any) -> float:
    at_half = tolerance(
        -physics.horizontal_velocity(), (1.0, np.inf), 0.5, value_at_margin=0.5, sigmoid="linear"
    )
    return _walker(physics, at_half)


def _walker_flip(physics: Any) -> float:
    return _walker(physics, _fast(angular_momentum(physics)[1], SPIN_SPEED))


def _walker_spin(physics: Any) -> float:
    """Nothing but turning forward, as in the tasks of TD-JEPA (Bagatella et al. 2025)."""
    return _fast(angular_momentum(physics)[1], 2 * SPIN_SPEED)


def _cheetah_flip(physics: Any, sign: float) -> float:
    return _fast(sign * angular_momentum(physics)[1], SPIN_SPEED)


def _cheetah(physics: Any, speed: float) -> float:
    """At least as fast as `speed` (m/s), backward below zero."""
    ahead = physics.speed()
    return _fast(ahead if speed > 0 else -ahead, abs(speed))


def _hopper_backward(physics: Any) -> float:
    return tolerance(physics.height(), (0.6, 2)) * _half_fast(-physics.speed(), 2.0)


def _half_fast(speed: float, wanted: float) -> float:
    return tolerance(speed, (wanted, np.inf), margin=wanted / 2, value_at_margin=0.5, sigmoid="linear")


def _quadruped_upright(physics: Any) -> float:
    upright = physics.torso_upright()
    return float(tolerance(upright, (1.0, np.inf), margin=2, value_at_margin=0, sigmoid="linear"))


def _quadruped_jump(physics: Any) -> float:
    """The centre of mass at 1 m, as in ExORL."""
    height = physics.named.data.subtree_com["torso", "z"]
    jumping = tolerance(height, (1.0, np.inf), margin=1.0, value_at_margin=0.5, sigmoid="linear")
    return float(_quadruped_upright(physics) * jumping)


def _near(physics: Any, geom: str, target: Any, radius: float) -> float:
    gap = np.linalg.norm(physics.named.data.geom_xpos[geom][:2] - target)
    return tolerance(gap, (0, radius), margin=0.2)


def _corners(geom: str, distance: float, radius: float) -> dict[str, Variant]:
    return {
        f"reach_{name}": partial(_near, geom=geom, target=distance * np.array(corner), radius=radius)
        for name, corner in CORNERS.items()
    }


def _bring(physics: Any, place: tuple[float, float]) -> float:
    """The ball at a place (x and z, m), and the fingers at the ball."""
    ball = physics.named.data.xpos["ball", ["x", "z"]]
    hand = physics.named.data.site_xpos["pinch", ["x", "z"]]
    near = tolerance(np.linalg.norm(hand - ball), (0, 0.03), margin=0.3)
    there = tolerance(np.linalg.norm(ball - np.array(place)), (0, 0.03), margin=0.3)
    return near * (1 + 3 * there) / 4


VARIANTS: Mapping[str, Mapping[str, Variant]] = {
    "walker": {"flip": _walker_flip, "spin": _walker_spin, "walk_backward": _walker_backward},
    "cheetah": {
        "walk": partial(_cheetah, speed=2.0),
        "walk_backward": partial(_cheetah, speed=-2.0),
        "run_backward": partial(_cheetah, speed=-10.0),
        "flip": partial(_cheetah_flip, sign=1.0),
        "flip_backward": partial(_cheetah_flip, sign=-1.0),
    },
    "hopper": {"hop_backward": _hopper_backward},
    "quadruped": {"stand": _quadruped_upright, "jump": _quadruped_jump},
    "reacher": _corners("finger", 0.11, 0.05),
    "point_mass": _corners("pointmass", 0.15, 0.03),
    "manipulator": {
        "bring_left": partial(_bring, place=(-0.3, 0.2)),
        "bring_right": partial(_bring, place=(0.3, 0.2)),
        "bring_up": partial(_bring, place=(0.0, 0.35)),
    },
}
"""By domain and name."""
