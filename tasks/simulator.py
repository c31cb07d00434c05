"""Simulators: MuJoCo at control rate, batched rollouts, detection of divergence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from mujoco import rollout
from numpy import ndarray

from tasks.errors import TaskError
from tasks.hand_control import HandController
from tasks.spec import EnvSpec

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


@dataclass(frozen=True)
class Look:
    """What pictures show beside the bare physics.

    Attributes:
        model: builds the model that is drawn; its state is laid out like the physics'.
        dress: sets colours and lights of that model by a state [S], before it is drawn.
    """

    model: Callable[[], mujoco.MjModel]
    dress: Callable[[mujoco.MjModel, ndarray], None]


class Simulator:
    """A simulator whose next state is a pure function of state and action, bit for bit.

    A state holds time, positions and velocities (S numbers, float64). The solver starts cold at every
    control step, so stepping, batched roll-outs and resuming from a stored state agree exactly.

    Args:
        model: the physics.
        spec: names, units and ranges of what is seen and done.
        observe: states [*b S] to observations [*b O], float32.
        command: actions [*b A] in the spec's ranges to actuator controls [*b U].
        sample: draws the starts of episodes; see `sample_states`.
        look: what pictures show; by default the physics as it is.
        servo: where actuators follow the state: commands [*b U] and the states [*b S] at which a control step
            begins to controls [*b U], held during that step. By default the commands are the controls.
        columns: the state's column of each fixture, where fixtures are not the model's joints by name.
        hand_controller: how to bring the hand somewhere, where no actions drive it along x, y and z.
        coarse: the same world in larger time steps: not quite as true, but quick enough to plan in.
    """

    coarse: "Simulator | None" = None

    live = False
    """Whether states that are not numbers say that an episode has ended, not that its simulation diverged."""

    def __init__(
        self,
        model: mujoco.MjModel,
        spec: EnvSpec,
        observe: Callable[[ndarray], ndarray],
        command: Callable[[ndarray], ndarray],
        sample: Callable[[np.random.Generator, int], ndarray],
        look: Look | None = None,
        *,
        servo: Callable[[ndarray, ndarray], ndarray] | None = None,
        columns: Mapping[str, int] | None = None,
        hand_controller: HandController | None = None,
        coarse: "Simulator | None" = None,
    ) -> None:
        keep_divergence(model)
        self.model = model
        self.look = look
        self.hand_controller = hand_controller
        self.coarse = coarse
        self.spec = spec
        self.observe = observe
        self.data = mujoco.MjData(model)
        self.state_size = mujoco.mj_stateSize(model, _STATE)
        self._command = command
        self._servo = servo
        self._columns = columns
        self._sample = sample
        self._substeps = round(spec.control_dt / model.opt.timestep)
        self._low = np.array([variable.low for variable in spec.action], np.float32)
        self._high = np.array([variable.high for variable in spec.action], np.float32)
        self._pool = rollout.Rollout(nthread=0)
        self._scratch = mujoco.MjData(model)

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Random starts: hand and fixtures drawn anew, the fixtures in `place` put where it says."""
        return self.placed(self._sample(rng, n), place or {})

    def placed(self, states: Float[ndarray, "n S"], place: Mapping[str, float]) -> Float[ndarray, "n S"]:
        """States in which the fixtures in `place` are where it says.

        Raises:
            TaskError: no such fixture.
        """
        moved = states.copy()
        for name, value in place.items():
            moved[:, self._column(self.spec.fixture(name).name)] = value
        return moved

    def observe_privileged(self, states: Float[ndarray, "*b S"], with_state: bool) -> torch.Tensor:
        """What tasks are judged by: what the robot sees, and after it the state itself where they need it."""
        seen = self.observe(states)
        if with_state:
            seen = np.concatenate([seen.astype(np.float64), states], axis=-1)
        return torch.from_numpy(seen)

    def set_state(self, state: Float[ndarray, " S"]) -> Float[ndarray, " O"]:
        """Put the scene into a state and observe it."""
        mujoco.mj_setState(self.model, self.data, state, _STATE)
        mujoco.mj_forward(self.model, self.data)
        observed: ndarray = self.observe(state)
        return observed

    def get_state(self) -> Float[ndarray, " S"]:
        """The state as it is now."""
        state = np.empty(self.state_size)
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        return state

    def step(self, action: Float[ndarray, " A"]) -> Float[ndarray, " O"]:
        """Hold an action for one control step and observe.

        Raises:
            TaskError: the action is not finite, or the simulation diverges.
        """
        command = self._command(self._checked(action))
        before = self.get_state()
        self.data.ctrl[:] = self._servo(command, before) if self._servo else command
        self.data.qacc_warmstart[:] = 0.0
        mujoco.mj_step(self.model, self.data, self._substeps)
        state = self._marked(before[None], self.get_state()[None])[0]
        if not np.isfinite(state).all():
            raise TaskError(f"{self.spec.name}: the simulation diverged at {self.data.time:.2f} s")
        observed: ndarray = self.observe(state)
        return observed

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        From where a simulation diverges its states are NaN.

        Raises:
            TaskError: an action is not finite.
        """
        commands = self._command(self._checked(actions)).astype(np.float64)
        path = np.empty((*commands.shape[:2], self.state_size))
        now = np.ascontiguousarray(states)
        for t in range(commands.shape[1]):
            begin = stand_in(self.model, now)
            controls = self._servo(commands[:, t], begin) if self._servo else commands[:, t]
            held = np.repeat(controls[:, None], self._substeps, axis=1)
            now = self._marked(now, self._pool.rollout(self.model, self._scratch, begin, held)[0][:, -1])
            path[:, t] = now
        return path

    def _marked(self, before: Float[ndarray, "B S"], after: Float[ndarray, "B S"]) -> Float[ndarray, "B S"]:
        return marked(self.model, before, after, self._substeps * self.model.opt.timestep)

    def _column(self, fixture: str) -> int:
        """The state's column of a fixture's position."""
        if self._columns is not None:
            return self._columns[fixture]
        return 1 + int(self.model.joint(fixture).qposadr[0])

    def _checked(self, actions: ndarray) -> ndarray:
        if not np.isfinite(actions).all():
            raise TaskError(f"{self.spec.name}: an action is not finite; every column must be a number")
        clipped: ndarray = np.minimum(np.maximum(actions, self._low), self._high)
        return clipped


class RolloutSimulator(Simulator):
    """Subclasses set `state_size` and define `rollout`."""

    _now: Float[ndarray, " S"]

    def set_state(self, state: Float[ndarray, " S"]) -> Float[ndarray, " O"]:
        """Put the scene into a state and observe it."""
        self._now = np.array(state, np.float64)
        observed: ndarray = self.observe(self._now)
        return observed

    def get_state(self) -> Float[ndarray, " S"]:
        """The state as it is now."""
        return self._now.copy()

    def step(self, action: Float[ndarray, " A"]) -> Float[ndarray, " O"]:
        """Hold an action for one control step and observe.

        Raises:
            TaskError: the action is not finite, or the simulation diverges.
        """
        after = self.rollout(self._now[None], np.asarray(action)[None, None])[0, 0]
        if not np.isfinite(after).all():
            raise TaskError(f"{self.spec.name}: the simulation diverged at {self._now[0]:.2f} s")
        return self.set_state(after)


HUGE = 1e6
"""No position (m, rad) or velocity (m/s, rad/s) is meant to be so great; MuJoCo itself stops at 1e10."""


def keep_divergence(model: mujoco.MjModel) -> None:
    """Let a simulation that diverges stay so; by default MuJoCo quietly goes on from the model's first pose."""
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def marked(
    model: mujoco.MjModel, before: Float[ndarray, "B S"], after: Float[ndarray, "B S"], dt: float
) -> Float[ndarray, "B S"]:
    """`after`, with NaN in every row whose simulation diverged on the way from `before`.

    A roll-out stops where MuJoCo warns of a bad state, so that its clock falls short.

    Args:
        model: the physics; states begin with time, positions and velocities.
        before: states at the beginning of a control step.
        after: states at its end.
        dt: seconds in between.
    """
    moving = after[:, 1 : 1 + model.nq + model.nv]
    with np.errstate(invalid="ignore"):
        whole = np.abs(after[:, 0] - before[:, 0] - dt) < model.opt.timestep / 2
        sound = np.isfinite(after).all(axis=1) & whole & (np.abs(moving) < HUGE).all(axis=1)
    return after if sound.all() else np.where(sound[:, None], after, np.nan)


def stand_in(model: mujoco.MjModel, states: Float[ndarray, "B S"]) -> Float[ndarray, "B S"]:
    """States to step from: the model's first one for rows that have diverged, which stay marked whatever comes."""
    sound = np.isfinite(states).all(axis=1)
    if sound.all():
        return states
    rest = np.zeros(states.shape[1])
    rest[1 : 1 + model.nq] = model.qpos0
    return np.where(sound[:, None], states, rest)
