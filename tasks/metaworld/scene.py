"""The simulator of a Meta-World scene."""

from collections.abc import Callable, Mapping

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.hand_control import HandController
from tasks.metaworld.inverse_kinematics import POINT
from tasks.metaworld.spec import REPEAT
from tasks.simulator import RolloutSimulator, stand_in
from tasks.spec import EnvSpec

SCALE = 0.01
"""How far (m) an action of 1 moves the point in one control step of Meta-World."""

UPRIGHT = (1.0, 0.0, 1.0, 0.0)
"""How the hand is turned, always: a quaternion as Meta-World sets it."""

_HELD = mujoco.mjtState
_CONTROL = int(_HELD.mjSTATE_CTRL | _HELD.mjSTATE_MOCAP_POS | _HELD.mjSTATE_MOCAP_QUAT)


class MetaWorldScene(RolloutSimulator):
    """Next states are those of `REPEAT` of Meta-World's own steps, bit for bit, with the solver started cold.

    A state is MuJoCo's (time, positions, velocities) and the point (m) that the hand is drawn to.

    Args:
        model: the physics.
        spec: what is seen and done.
        reach: least and greatest x, y, z (m) of the point.
        observe: states to observations.
        sample: draws the starts of episodes.
        columns: the state's column of each fixture.
        hand_controller: puts the hand near the handle.
        coarse: the same scene in larger time steps.
    """

    def __init__(
        self, model: mujoco.MjModel, spec: EnvSpec, reach: tuple[ndarray, ndarray],
        observe: Callable[[ndarray], ndarray], sample: Callable[[np.random.Generator, int], ndarray],
        columns: Mapping[str, int], hand_controller: HandController, coarse: "MetaWorldScene | None" = None,
    ) -> None:  # fmt: skip
        super().__init__(
            model,
            spec,
            observe,
            lambda actions: actions,
            sample,
            columns=columns,
            hand_controller=hand_controller,
            coarse=coarse,
        )
        self._reach = reach
        self.state_size += POINT

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        From where a simulation diverges its states are NaN.

        Raises:
            TaskError: an action is not finite.
        """
        actions = self._checked(actions)
        path = np.empty((*actions.shape[:2], self.state_size))
        now, point = np.ascontiguousarray(states[:, :-POINT]), states[:, -POINT:]
        for t in range(actions.shape[1]):
            held = self._held(point, actions[:, t])
            sound = stand_in(self.model, now)
            passed = self._pool.rollout(self.model, self._scratch, sound, held, control_spec=_CONTROL)[0]
            now, point = self._marked(now, passed[:, -1]), held[:, -1, 2 : 2 + POINT]
            path[:, t] = np.concatenate([now, point], axis=1)
        return path

    def _held(self, point: Float[ndarray, "B 3"], actions: Float[ndarray, "B A"]) -> Float[ndarray, "B n U"]:
        """Fingers, point and turn in each of the n physics steps of a control step."""
        low, high = self._reach
        held = np.empty((len(point), REPEAT, 2 + POINT + 4))
        held[..., 0], held[..., 1] = actions[:, 3:], -actions[:, 3:]
        held[..., -4:] = UPRIGHT
        for frame in range(REPEAT):
            point = np.clip(point + SCALE * actions[:, :3], low, high)
            held[:, frame, 2 : 2 + POINT] = point
        return np.repeat(held, self._substeps // REPEAT, axis=1)
