"""One episode: observations, actions and simulator states."""

from dataclasses import dataclass

import numpy as np

from mbtransfer.errors import UserError


@dataclass(frozen=True, eq=False)
class Episode:
    """T control steps under one behaviour, and where they led.

    Attributes:
        obs: float32 [T+1, O], observations; units as in the environment's spec.
        actions: float32 [T, A], what was asked of the actuators.
        state: float64 [T+1, S], the simulator's full state: any task can be labelled exactly afterwards.
        behaviour: name of the policy that collected.
        seed: the seed that reproduces this episode.
        terminated: the environment ended it (there is no next state to value).
        truncated: a time limit or the collector ended it.
        diverged: the simulation diverged in the step after the last one, which is why it ended (it is truncated).
        rewards: float64 [T], what the source of the episode paid for each step; None where nobody paid.

    Raises:
        UserError: an array has the wrong number of axes, steps or the wrong dtype.
    """

    # Plain arrays to the type checker: __post_init__ checks them always, in words for the user.
    obs: np.ndarray
    actions: np.ndarray
    state: np.ndarray
    behaviour: str
    seed: int
    terminated: bool
    truncated: bool
    rewards: np.ndarray | None = None
    diverged: bool = False

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if steps == 0:
            raise UserError(f"{self.label} has no steps; an episode needs at least one")
        self._check("obs", self.obs, steps + 1, np.dtype(np.float32))
        self._check("actions", self.actions, steps, np.dtype(np.float32))
        self._check("state", self.state, steps + 1, np.dtype(np.float64))
        if self.rewards is not None:
            self._check("rewards", self.rewards, steps, np.dtype(np.float64), axes=1)

    def __len__(self) -> int:
        """Number of control steps T."""
        return len(self.actions)

    @property
    def label(self) -> str:
        """How messages call this episode: by its behaviour and seed."""
        return f"episode of behaviour {self.behaviour!r}, seed {self.seed}"

    def _check(self, name: str, array: np.ndarray, rows: int, dtype: np.dtype, axes: int = 2) -> None:
        if array.ndim != axes or len(array) != rows:
            expected = f"({rows}, columns)" if axes == 2 else f"({rows},)"
            raise UserError(f"{self.label}: {name} has shape {array.shape}, expected {expected}")
        if array.dtype != dtype:
            raise UserError(f"{self.label}: {name} is {array.dtype}, expected {dtype}")
