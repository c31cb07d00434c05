"""Meta-World tasks that share a scene, as one environment (`metaworld:drawer`)."""

import copy
from functools import partial
from typing import Any

import numpy as np

from tasks.environment import Environment
from tasks.metaworld.inverse_kinematics import SawyerKinematics, Starts, begin
from tasks.metaworld.scene import MetaWorldScene
from tasks.metaworld.scenes import load_envs, parse_name
from tasks.metaworld.spec import JointColumns, joint_columns, spec
from tasks.metaworld.tasks import MetaWorldTask, NativeReward
from tasks.simulator import Simulator
from tasks.spec import EnvSpec
from tasks.task import Task

COARSE = 0.00625
"""Time step (s) in which the simulator is planned with; Meta-World's own is 0.0025."""

CAMERAS = ("corner3", "corner", "corner2", "topview", "behindGripper")


def metaworld(text: str) -> Environment:
    """The scene that `metaworld:TEXT` names, with Meta-World's tasks in it; or one of these alone.

    Raises:
        TaskError: no such scene or task, or Meta-World is not installed.
    """
    name, layout = parse_name(text)
    theirs = {task: load_envs(task, layout) for task in layout.tasks}
    first = theirs[layout.tasks[0]]
    described = spec(f"metaworld:{name}", layout, first)
    tasks: dict[str, Task] = {task: _job(task, described, one) for task, one in theirs.items()}
    begins = [begin(one) for one in theirs.values()]
    make_scene = partial(_scene, described, first, SawyerKinematics(first), begins)
    return Environment(described, tasks, make_scene, cameras=CAMERAS)


def _slots(described: EnvSpec, theirs: Any) -> dict[str, JointColumns]:
    """Where each fixture is in a state."""
    return dict(
        zip((fixture.name for fixture in described.fixtures), joint_columns(theirs.model), strict=True)
    )


def _job(name: str, described: EnvSpec, theirs: Any) -> MetaWorldTask:
    judge, start = NativeReward(theirs), begin(theirs)
    text = f"{name.replace('_', ' ')} as Meta-World rewards and judges it"
    begun = tuple(float(start[slot.position]) for slot in joint_columns(theirs.model))
    return MetaWorldTask(
        name, text, "source", described.obs_size, judge.reward, judge.success, described.fixtures, begun
    )


def _scene(
    described: EnvSpec,
    theirs: Any,
    kinematics: SawyerKinematics,
    begins: list[np.ndarray],
    locked: tuple[str, ...],
) -> Simulator:
    """A new scene; fixtures named in `locked` rest where they are."""
    model = copy.copy(theirs.model)
    named = _slots(described, theirs)
    for name in locked:
        dof = named[described.fixture(name).name].dof
        model.dof_damping[dof], model.dof_armature[dof] = 1e5, 1e3
    reach = (theirs.mocap_low, theirs.mocap_high)
    starts = Starts(kinematics, begins, reach, [slot for name, slot in named.items() if name not in locked])
    low, high = (np.array([getattr(v, end) for v in described.observation]) for end in ("low", "high"))

    def observe(states: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(kinematics.observe(states), low), high).astype(np.float32)

    made = partial(
        MetaWorldScene, spec=described, reach=reach, observe=observe, sample=starts.sample,
        columns={name: slot.position for name, slot in named.items()}, hand_controller=starts.hand_controller,
    )  # fmt: skip
    rough = copy.copy(model)
    rough.opt.timestep = COARSE
    return made(model, coarse=made(rough))
