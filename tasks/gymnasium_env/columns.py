"""Names of the columns of an observation, where an environment documents them."""

from typing import Any

import gymnasium
import mujoco

from tasks.errors import TaskError

_REACHER = ("cos_joint0", "cos_joint1", "sin_joint0", "sin_joint1", "target_x", "target_y",
            "joint0_velocity", "joint1_velocity", "target_to_fingertip_x", "target_to_fingertip_y")  # fmt: skip
_ARM = ("shoulder_pan", "shoulder_lift", "upper_arm_roll", "elbow_flex", "forearm_roll", "wrist_flex",
        "wrist_roll")  # fmt: skip
_PUSHER = (
    *_ARM, *(f"{joint}_velocity" for joint in _ARM),
    *(f"{thing}_{axis}" for thing in ("fingertip", "object", "goal") for axis in "xyz"),
)  # fmt: skip

_KNOWN = {
    "Pendulum-v1": ("cos_angle", "sin_angle", "angular_velocity"),
    "MountainCarContinuous-v0": ("position", "velocity"),
    "Reacher-v5": _REACHER,
    "Pusher-v5": _PUSHER,
}


def column_names(env: gymnasium.Env[Any, Any], name: str, size: int) -> tuple[str, ...]:
    """One name for each column: the environment's own, as documented, of the joints, or `obs_0`, `obs_1`, ...

    Raises:
        TaskError: the environment's `columns` do not fit what it observes.
    """
    inner = env.unwrapped
    known = _own(inner, name, size) or _KNOWN.get(inner.spec.id if inner.spec else "", ())
    if not known and isinstance(structure := getattr(inner, "observation_structure", None), dict):
        known = _of_joints(inner, structure)
    if len(known) == size == len(set(known)):
        return known
    return tuple(f"obs_{i}" for i in range(size))


def _own(inner: Any, name: str, size: int) -> tuple[str, ...]:
    """What the environment calls its columns; nothing where it has no such list of texts."""
    columns = getattr(inner, "columns", None)
    if not isinstance(columns, tuple | list) or not all(isinstance(one, str) for one in columns):
        return ()
    if not len(set(columns)) == len(columns) == size or not all(one.isidentifier() for one in columns):
        raise TaskError(
            f"{name}: `columns` must be {size} different words, one per number observed, not {columns!r}"
        )
    return tuple(columns)


def _of_joints(inner: Any, structure: dict[str, int]) -> tuple[str, ...]:
    """Positions and velocities of the joints, then the rest block by block: Gymnasium's own robots."""
    model = getattr(inner, "model", None)
    if not isinstance(model, mujoco.MjModel):
        return ()
    joints = [model.joint(i) for i in range(model.njnt)]
    at = [f"{joint.name}{_part(i, len(joint.qpos0))}" for joint in joints for i in range(len(joint.qpos0))]
    moving = [
        f"{joint.name}_velocity{_part(i, len(joint.damping))}"
        for joint in joints
        for i in range(len(joint.damping))
    ]
    rest = {key: n for key, n in structure.items() if key not in ("skipped_qpos", "qpos", "qvel")}
    skipped = structure.get("skipped_qpos", 0)
    return (*at[skipped:], *moving, *(f"{key}_{i}" for key, n in rest.items() for i in range(n)))


def _part(i: int, size: int) -> str:
    return f"_{i}" if size > 1 else ""
