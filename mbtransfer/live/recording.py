"""The episode of a live session, as data and as a film."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collection.collect import open_dataset
from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.evaluation.video import film
from tasks.environment import Environment
from tasks.render import Renderer
from tasks.simulator import Simulator

BEHAVIOUR = "live"
"""What episodes of live sessions are called in a dataset."""


class Recording:
    """The steps since the work was given. A push by hand begins a new part: no action has led across it.

    Args:
        state: the simulator's state at the beginning.
        obs: the observation of it.
        seed: that of the planner.
    """

    def __init__(self, state: Float[ndarray, " S"], obs: Float[ndarray, " O"], seed: int) -> None:
        self._seed = seed
        self._parts: list[_Part] = []
        self.cut(state, obs)

    def cut(self, state: Float[ndarray, " S"], obs: Float[ndarray, " O"]) -> None:
        """Somebody else has changed the state: a new part begins."""
        self._parts.append(_Part([state], [obs], [], []))

    def note(
        self, action: Float[ndarray, " A"], state: Float[ndarray, " S"], obs: Float[ndarray, " O"], words: str
    ) -> None:
        """Add a control step.

        Args:
            action: what was asked of the actuators.
            state: the state that it led to.
            obs: the observation of it.
            words: what the robot was after.
        """
        part = self._parts[-1]
        part.states.append(state)
        part.obs.append(obs)
        part.actions.append(action)
        part.words.append(words)

    def copy(self) -> "Recording":
        """The same up to now."""
        made = Recording.__new__(Recording)
        made._seed = self._seed
        made._parts = [part.copy() for part in self._parts]
        return made

    def __len__(self) -> int:
        """Count the control steps."""
        return sum(len(part.actions) for part in self._parts)

    def episodes(self) -> list[Episode]:
        """Each part with steps, as an episode of a dataset."""
        return [
            Episode(
                np.stack(part.obs).astype(np.float32), np.stack(part.actions).astype(np.float32),
                np.stack(part.states).astype(np.float64), BEHAVIOUR, self._seed, terminated=False, truncated=True,
            )
            for part in self._parts
            if part.actions
        ]  # fmt: skip

    def keep(self, environment: Environment, folder: Path) -> str:
        """Append the episodes to a dataset, which is made if there is none; in words, what was done.

        Raises:
            UserError: nothing was recorded, or the folder holds something else or cannot be written.
        """
        episodes = self.episodes()
        if not episodes:
            raise UserError("there is nothing to keep yet: no control step was taken")
        digest = hashlib.sha256(b"".join(episode.state.tobytes() for episode in episodes)).hexdigest()
        new = open_dataset(environment, str(folder)).append(episodes, f"{BEHAVIOUR}-{digest[:16]}")
        return f"{len(self)} control steps are in {folder}{'' if new else ' already'}"

    def film(self, scene: Simulator, path: Path) -> str:
        """Write a video at real speed; in words, what was done.

        Raises:
            UserError, RenderUnavailable: nothing was recorded, no renderer works, or the file cannot be written.
        """
        if not len(self):
            raise UserError("there is nothing to film yet: no control step was taken")
        states = np.concatenate([np.stack(part.states) for part in self._parts])
        words = [text for part in self._parts for text in (*part.words, (part.words or [""])[-1])]
        path.parent.mkdir(parents=True, exist_ok=True)
        with Renderer(scene) as renderer:
            film(renderer, states, scene.spec.control_dt, video=path, captions=words)
        return f"wrote {path}"


class _Part:
    """Steps that follow from one another."""

    def __init__(
        self, states: list[ndarray], obs: list[ndarray], actions: list[ndarray], words: list[str]
    ) -> None:
        self.states, self.obs, self.actions, self.words = states, obs, actions, words

    def copy(self) -> "_Part":
        return _Part(self.states.copy(), self.obs.copy(), self.actions.copy(), self.words.copy())
