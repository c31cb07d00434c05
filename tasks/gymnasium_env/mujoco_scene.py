"""Gymnasium's MuJoCo environments as a scene: any state can be set, roll-outs run in C."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.divergence import stand_in
from tasks.errors import TaskError
from tasks.gymnasium_env.puppet import Puppet
from tasks.rolled_scene import RolledScene
from tasks.spec import EnvSpec


class MujocoScene(RolledScene):
    """Next states are those of the environment's own `step`, bit for bit, with the solver started cold.

    Observations are read one by one from the environment itself, 15 to 180 microseconds each: the price of
    knowing nothing about it. Episodes do not terminate.

    Args:
        puppet: the environment.
        spec: what is seen and done.
    """

    def __init__(self, puppet: Puppet, spec: EnvSpec) -> None:
        super().__init__(puppet.model, spec, self._see, _as_it_is, self._draw)
        self.state_size = puppet.state_size
        self._puppet, self._now = puppet, puppet.start(0)
        self._substeps = puppet.frame_skip

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Starts as the environment's own `reset` draws them.

        Raises:
            TaskError: something is to be placed; there are no fixtures.
        """
        refuse_fixtures(self.spec.name, place or ())
        return self._draw(rng, n)

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        Raises:
            TaskError: an action is not finite.
        """
        controls = self._checked(actions).astype(np.float64)
        path = np.empty((*controls.shape[:2], self.state_size))
        now = np.ascontiguousarray(states[:, : self._puppet.physics])
        for t in range(controls.shape[1]):
            held = np.repeat(controls[:, t : t + 1], self._substeps, axis=1)
            passed = self._pool.rollout(self.model, self._scratch, stand_in(self.model, now), held)[0]
            before = passed[:, -2] if self._substeps > 1 else now
            now = self._marked(now, passed[:, -1])
            path[:, t] = np.concatenate([now, before, controls[:, t]], axis=1)
        return path

    def _see(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        rows = states.reshape(-1, self.state_size)
        seen = np.empty((len(rows), self.spec.obs_size), np.float32)
        for i, state in enumerate(rows):
            seen[i] = self._puppet.observe(state)
        return seen.reshape(*states.shape[:-1], self.spec.obs_size)

    def _draw(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        return np.stack([self._puppet.start(int(seed)) for seed in rng.integers(2**31, size=n)])


def refuse_fixtures(name: str, fixtures: Mapping[str, float] | tuple[str, ...]) -> None:
    """Say that there are none.

    Raises:
        TaskError: a fixture is named.
    """
    for fixture in fixtures:
        raise TaskError(f"{name}: no fixture {fixture!r}; a Gymnasium environment has none")


def _as_it_is(actions: ndarray) -> ndarray:
    return actions
