"""What stands for a simulator where there is none: it can say where episodes begin, and nothing else."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import no_simulator
from tasks.simulator import Simulator
from tasks.spec import EnvSpec


class LoggedScene(Simulator):
    """A state is an observation; starts are drawn from those that were logged, and nothing can be stepped.

    Args:
        spec: what is seen and done.
        starts: observations at which episodes may begin; None where none are known.
    """

    live = True

    def __init__(self, spec: EnvSpec, starts: Float[ndarray, "n O"] | None = None) -> None:
        self.spec, self.look, self.hand_controller, self.observe = spec, None, None, _observe
        self.state_size = spec.obs_size
        self._starts, self._now = starts, np.zeros(spec.obs_size)

    def __getattr__(self, name: str) -> Any:
        if name in ("model", "data"):
            self._refuse("a picture")
        raise AttributeError(name)

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Logged observations, drawn at random.

        Raises:
            TaskError: no logs are at hand, or something is to be placed.
        """
        if self._starts is None or place:
            self._refuse("an episode")
        return self._starts[rng.integers(len(self._starts), size=n)].astype(np.float64)

    def set_state(self, state: Float[ndarray, " S"]) -> Float[ndarray, " O"]:
        """Note an observation."""
        self._now = np.array(state, np.float64)
        return _observe(self._now)

    def get_state(self) -> Float[ndarray, " S"]:
        """The observation noted last."""
        return self._now.copy()

    def step(self, action: Float[ndarray, " A"]) -> Float[ndarray, " O"]:
        """Nothing to step.

        Raises:
            TaskError: always.
        """
        self._refuse("a step")

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """Nothing to step.

        Raises:
            TaskError: always.
        """
        self._refuse("a step")

    def _refuse(self, what: str) -> NoReturn:
        raise no_simulator(self.spec.name, what, "plan with a model fitted to logs")


def _observe(states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
    return states.astype(np.float32)
