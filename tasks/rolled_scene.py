"""Scenes whose state holds more than MuJoCo's: a step is a roll-out of one."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.scene import Scene


class RolledScene(Scene):
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
