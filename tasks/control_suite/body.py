"""One dm_control domain: observation and reward of given states."""

from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.control_suite.variants import angular_momentum

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS

Value = Callable[[Any], float]
"""Physics to reward."""

FORCES = {"force_torque": slice(None), "imu": slice(0, 3)}
"""Columns of what the suite shows that are forces or accelerations: they flicker within a control step, and no model
foretells them."""

PLACES = ("body_pos", "body_quat", "geom_pos", "geom_size", "site_pos", "site_size")
"""What an episode of the suite may change in its model."""


class SuiteBody:
    """One environment of the suite, put into any state.

    Everything is read as the suite reads it after a control step, but for contact forces: those are as with
    idle motors, since a state does not tell the motors.

    Args:
        theirs: an environment of dm_control's suite.
    """

    def __init__(self, theirs: Any) -> None:
        self.theirs, self._task = theirs, theirs.task
        self.model: mujoco.MjModel = theirs.physics.model.ptr
        self._data: mujoco.MjData = theirs.physics.data.ptr
        sensors = (self.model.sensor(i) for i in range(self.model.nsensor))
        self._moving = [s for s in sensors if s.type[0] == mujoco.mjtSensor.mjSENS_SUBTREELINVEL]
        free = np.flatnonzero(self.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self._afloat = [self.model.body(body) for body in self.model.jnt_bodyid[free]]
        theirs.reset()
        self._world = self._places()
        self.columns = self._columns()

    def start(self, rng: np.random.Generator) -> Float[ndarray, " S"]:
        """A state as the suite's episodes begin; what these put elsewhere in the model, such as a target, stays put."""
        self._task.random.seed(int(rng.integers(2**32)))
        self.theirs.reset()
        for part, place in zip(PLACES, self._world, strict=True):
            getattr(self.model, part)[:] = place
        return self._state()

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """What the suite shows but for forces, and how the whole moves and lies; see `docs/environments.md`."""
        flat = states.reshape(-1, states.shape[-1])
        seen = np.empty((len(flat), len(self.columns)), np.float32)
        for row, state in zip(seen, flat, strict=True):
            self._put(state)
            row[:] = self._seen()
        return seen.reshape(*states.shape[:-1], len(self.columns))

    def judge(self, value: Value, repeat: int) -> Callable[[ndarray, ndarray, ndarray], ndarray]:
        """What transitions are worth: the sum over the `repeat` control steps for which an action is held.

        The states between are simulated again, as transitions hold none of them.
        """
        physics = self.theirs.physics
        substeps = round(self.theirs.control_timestep() / physics.timestep())

        def judged(states: ndarray, actions: ndarray, reached: ndarray) -> Float[ndarray, " n"]:
            worth = np.zeros(len(reached), np.float32)
            for i, (state, action, end) in enumerate(zip(states, actions, reached, strict=True)):
                self._put(state, action)
                for _ in range(repeat - 1):
                    mujoco.mj_step(self.model, self._data, substeps)
                    mujoco.mj_forward(self.model, self._data)
                    worth[i] += value(physics)
                self._put(end, action)
                worth[i] += value(physics)
            return worth

        return judged

    def is_like(self, other: "SuiteBody") -> bool:
        """Whether both are the same body in the same world, whatever is asked of it; floors have no end anyway."""
        parts = ("body_mass", "jnt_range", "geom_type", "actuator_gear")
        mine, theirs = self.model, other.model
        if self.columns != other.columns or any(
            not np.array_equal(getattr(mine, part), getattr(theirs, part)) for part in parts
        ):
            return False
        solid = mine.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
        return np.array_equal(mine.geom_size[solid], theirs.geom_size[solid])

    def moves_its_model(self) -> bool:
        """Whether episodes differ by more than their state, as when a target is put elsewhere."""
        looks: list[list[ndarray]] = []
        for _ in range(3):
            self.theirs.reset()
            looks.append(self._places())
        return any(not np.array_equal(a, b) for look in looks for a, b in zip(looks[0], look, strict=True))

    def _places(self) -> list[ndarray]:
        return [np.array(getattr(self.model, part)) for part in PLACES]

    def _put(self, state: Float[ndarray, " S"], action: ndarray | None = None) -> None:
        if not np.isfinite(state).all():
            state = np.zeros_like(state)  # a simulation that diverged; its episode is told by its state
        mujoco.mj_setState(self.model, self._data, np.ascontiguousarray(state), _STATE)
        self._data.ctrl[:] = 0.0
        mujoco.mj_forward(self.model, self._data)
        if action is not None and len(action):
            self._data.ctrl[:] = action

    def _state(self) -> Float[ndarray, " S"]:
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self._data, state, _STATE)
        return state

    def _shown(self) -> Mapping[str, ndarray]:
        shown: Mapping[str, Any] = self._task.get_observation(self.theirs.physics)
        return {key: np.delete(np.ravel(value), FORCES.get(key, [])) for key, value in shown.items()}

    def _seen(self) -> Float[ndarray, " O"]:
        parts = [np.ravel(value) for value in self._shown().values()]
        for sensor in self._moving:
            parts.append(self._data.sensordata[sensor.adr[0] : sensor.adr[0] + 3])
            parts.append(angular_momentum(self.theirs.physics, self.model.body(sensor.objid[0]).name))
        for body in self._afloat:
            parts += [self._data.xmat[body.id, 6:], self._data.xpos[body.id, 2:]]
            parts.append(self._data.subtree_com[body.id, 2:])
        return np.concatenate(parts)

    def _columns(self) -> tuple[str, ...]:
        names = []
        for key, value in self._shown().items():
            size = int(np.size(value))
            names += [key] if size == 1 else [f"{key}_{i}" for i in range(size)]
        for sensor in self._moving:
            body = self.model.body(sensor.objid[0]).name
            names += [f"{body}_{what}_{axis}" for what in ("velocity", "spin") for axis in "xyz"]
        for body in self._afloat:
            names += [f"{body.name}_up_{axis}" for axis in "xyz"]
            names += [f"{body.name}_height", f"{body.name}_mass_height"]
        return tuple(names)
