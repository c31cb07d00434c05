"""A workcell of OGBench as an environment (`ogbench:scene`)."""

import copy
from functools import partial
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.environment import Environment, Recorded
from tasks.errors import TaskError
from tasks.ogbench.cells import Cell, load_env, parse_name
from tasks.ogbench.goals import RandomGoals
from tasks.ogbench.kinematics import ArmKinematics
from tasks.ogbench.observation import Observer
from tasks.ogbench.play import Play
from tasks.ogbench.scene import WorkcellScene
from tasks.ogbench.spec import CONTROL_DT, spec
from tasks.ogbench.starts import Starts
from tasks.ogbench.tasks import named_tasks
from tasks.simulator import Look, Simulator
from tasks.spec import EnvSpec

COARSE = 0.005
"""Time step (s) in which the simulator is planned with; OGBench's own is 0.002."""


def ogbench(text: str) -> Environment:
    """The workcell that `ogbench:TEXT` names, with OGBench's five tasks in it.

    Raises:
        TaskError: no such workcell, or OGBench is not installed.
    """
    name, cell = parse_name(text)
    theirs = load_env(name, cell)
    described = spec(f"ogbench:{name}", cell, theirs.model)
    kinematics = ArmKinematics(theirs.model)
    observer = Observer(theirs.model, described, cell, kinematics)
    starts = Starts(theirs, cell, observer, kinematics)
    tasks = named_tasks(described, cell, theirs.task_infos, starts)
    made = partial(_scene, described, cell, theirs, kinematics, observer, starts)
    return Environment(
        described, tasks, made, cameras=("front",), recorded=_recorded(theirs.model, cell),
        play=partial(Play, theirs, cell, observer, kinematics), goals=RandomGoals(theirs, described, cell, observer),
    )  # fmt: skip


def _recorded(model: mujoco.MjModel, cell: Cell) -> Recorded:
    """What OGBench's files hold of a state: positions, velocities and the buttons' states, without the time."""

    def states(rows: Float[ndarray, "n R"]) -> Float[ndarray, "n S"]:
        time = CONTROL_DT * np.arange(len(rows))[:, None]
        return np.concatenate([time, rows], axis=1)

    return Recorded(model.nq + model.nv + len(cell.lights), states)


def _scene(
    described: EnvSpec, cell: Cell, theirs: Any, kinematics: ArmKinematics, observer: Observer, starts: Starts,
    locked: tuple[str, ...],
) -> Simulator:  # fmt: skip
    """A new scene; drawer, window and buttons named in `locked` rest where they are."""
    model = copy.copy(theirs.model)
    for name in locked:
        joint = model.jnt_dofadr[_joint(model, observer, described.fixture(name).name)]
        model.dof_damping[joint] = 1e7
    made = partial(
        WorkcellScene, spec=described, cell=cell, kinematics=kinematics, observe=observer.observe,
        sample=starts.sample, columns=observer.columns, hand_controller=starts.hand_controller(),
    )  # fmt: skip
    rough = copy.copy(model)
    rough.opt.timestep = COARSE
    look = Look(partial(_drawn, model, cell), partial(_dress, cell))
    return made(model, coarse=made(rough), look=look)


def _joint(model: mujoco.MjModel, observer: Observer, name: str) -> int:
    """The joint of a fixture that can be locked.

    Raises:
        TaskError: the cube cannot.
    """
    if name.startswith("cube"):
        raise TaskError(f"{name} lies free and cannot be locked; the buttons, the drawer and the window can")
    return int(np.flatnonzero(model.jnt_qposadr == observer.columns[name] - 1)[0])


RED, WHITE = (0.96, 0.26, 0.33, 1.0), (0.9, 0.9, 0.9, 1.0)
BLUE = (0.35, 0.55, 0.91, 1.0)


def _drawn(model: mujoco.MjModel, cell: Cell) -> mujoco.MjModel:
    """The physics without the marks of goals."""
    shown = copy.copy(model)
    for body in range(shown.nbody):
        if shown.body_mocapid[body] >= 0:
            shown.geom_rgba[shown.geom_bodyid == body, 3] = 0.0
    return shown


def _dress(cell: Cell, model: mujoco.MjModel, state: Float[ndarray, " S"]) -> None:
    """Buttons in the colours that OGBench gives them, and the handles of what is locked in red."""
    lights = state[len(state) - len(cell.lights) :] > 0.5
    for k, on in enumerate(lights[: len(cell.buttons)]):
        model.geom(f"btngeom_{k}").rgba[:] = (BLUE if cell.columns else WHITE) if on else RED
    for slide in cell.slides:
        model.material(f"{slide.name}_handle").rgba[:] = WHITE if lights[slide.lock] else RED
