"""Scenes in which actions take effect some control steps later, as over a slow line.

The actions on their way are part of the state (constant delay as an augmented state: Katsikopoulos and Engelbrecht
2003, "Markov decision processes with delays and asynchronous cost collection", section III), so that the next state is
a function of state and action as everywhere. They are not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.hand_control import HandController
from tasks.privileged_task import StateFunction
from tasks.simulator import RolloutSimulator, Simulator


class DelayedScene(RolloutSimulator):
    """A scene whose actions come `delay` control steps late; until the first one comes, it idles.

    A state is the scene's own, and after it the actions on their way, the oldest first.

    Args:
        inner: the scene.
        delay: control steps, at least 1.
    """

    def __init__(self, inner: Simulator, delay: int) -> None:
        super().__init__(
            inner.model, inner.spec, self._see, _as_it_is, inner.sample_states, inner.look,
            hand_controller=inner_controller(inner.hand_controller, inner.state_size),
            coarse=DelayedScene(inner.coarse, delay) if inner.coarse else None,
        )  # fmt: skip
        self.state_size = inner.state_size + delay * inner.spec.action_size
        self._inner, self._delay = inner, delay
        idle = np.clip(np.zeros(inner.spec.action_size), self._low, self._high)
        self._idle = np.tile(idle, delay)

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Random starts of the scene, with idle actions on their way."""
        states = self._inner.sample_states(rng, n, place)
        return np.concatenate([states, np.tile(self._idle, (n, 1))], axis=1)

    def placed(self, states: Float[ndarray, "n S"], place: Mapping[str, float]) -> Float[ndarray, "n S"]:
        """See `Simulator.placed`; the actions on their way stay."""
        size = self._inner.state_size
        return np.concatenate([self._inner.placed(states[:, :size], place), states[:, size:]], axis=1)

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        From where a simulation diverges its states are NaN.

        Raises:
            TaskError: an action is not finite.
        """
        size, (batch, steps, width) = self._inner.state_size, actions.shape
        waiting = states[:, size:].reshape(batch, self._delay, width).astype(np.float32)
        line = np.concatenate([waiting, self._checked(actions)], axis=1)
        path = self._inner.rollout(states[:, :size], line[:, :steps])
        later = [line[:, t : t + self._delay].reshape(batch, -1) for t in range(1, steps + 1)]
        return np.concatenate([path, np.stack(later, axis=1)], axis=2)

    def _see(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        seen: ndarray = self._inner.observe(states[..., : self._inner.state_size])
        return seen


@dataclass(frozen=True)
class DelayedJudge:
    """Judges transitions of a delayed scene by the action that takes effect in them.

    Attributes:
        judge: of the scene without delay.
        state_size: S of that scene.
        action_size: A.
    """

    judge: StateFunction
    state_size: int
    action_size: int

    def __call__(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """Reward or success of each transition; where no actions are given (success), none take effect."""
        size = self.state_size
        due = states[:, size : size + self.action_size] if actions.shape[1] else actions
        return self.judge(states[:, :size], due, reached[:, :size])


def inner_controller(inner: HandController | None, size: int) -> HandController | None:
    """The hand controller of a scene whose states go on after those of an inner one, of that size."""
    if inner is None:
        return None
    steer, approach = inner.steer, inner.approach

    def moved(rng: np.random.Generator, states: Float[ndarray, "n S"]) -> Float[ndarray, "n S"]:
        return np.concatenate([approach(rng, states[:, :size]), states[:, size:]], axis=1)

    return HandController(lambda states, wishes: steer(states[:, :size], wishes), moved, inner.reach)


def _as_it_is(actions: ndarray) -> ndarray:
    return actions
