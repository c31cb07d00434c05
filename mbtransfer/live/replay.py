"""Recorded episodes beside what the model had imagined of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data.dataset import Dataset
from mbtransfer.data.episode import Episode
from mbtransfer.data.header import Header
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from tasks.simulator import Simulator
from world_models.dynamics.rollout import Imagination


@dataclass(frozen=True, eq=False)
class Comparison:
    """A stretch of an episode as it was, and as the model imagined it from its first observation and the actions.

    Attributes:
        begin: control step at which the stretch begins.
        recorded: observations, the first one included.
        imagined: the same, by the mean of all members.
    """

    begin: int
    recorded: Float[ndarray, "points O"]
    imagined: Float[ndarray, "points O"]


class Replay:
    """The episodes of a dataset, and a model that imagines them.

    Args:
        model: imagines.
        scene: the model's environment.
        folder: of the dataset.

    Raises:
        UserError: there is no dataset, it is empty, or it is of another environment.
    """

    def __init__(self, model: Model, scene: Simulator, folder: Path) -> None:
        self._dataset = Dataset.open(folder)
        difference = self._dataset.header.difference(Header.of(scene.spec, scene.state_size))
        if difference:
            raise UserError(f"{folder} holds {difference}, unlike the model's environment")
        if not self._dataset.records:
            raise UserError(f"{folder} holds no episodes to replay")
        self.spec = scene.spec
        self._imagination = Imagination(model.dynamics, len(model.dynamics.elites))
        self._device = model.device

    @property
    def names(self) -> tuple[str, ...]:
        """What each episode is called, by its number, behaviour and length."""
        records = enumerate(self._dataset.records, start=1)
        return tuple(f"{n}: {record.behaviour}, {record.steps} steps" for n, record in records)

    def episode(self, number: int) -> Episode:
        """The episode of that number, from 0."""
        wanted = self._dataset.records[number]
        found = self._dataset.where(lambda record: (record.key, record.index) == (wanted.key, wanted.index))
        return next(found.episodes())

    def compare(self, episode: Episode, step: int, ahead: int) -> Comparison:
        """The last `ahead` control steps before `step`, or fewer where the episode is younger."""
        begin = max(0, step - ahead)
        recorded = np.array(episode.obs[begin : step + 1])
        if begin == step:
            return Comparison(begin, recorded, recorded)
        obs = torch.from_numpy(recorded[:1]).to(self._device)
        actions = torch.from_numpy(np.array(episode.actions[begin:step]))[None].to(self._device)
        with torch.no_grad():
            path = self._imagination(obs, actions, torch.Generator(self._device).manual_seed(0)).particles
        return Comparison(begin, recorded, path[:, :, 0].mean(dim=1).cpu().numpy())

    def in_words(self, found: Comparison) -> str:
        """Where hand and fixture are that the model imagined worst, and where it thought they were."""
        recorded, imagined, lines = found.recorded[-1], found.imagined[-1], list[str]()
        if len(self.spec.hand) == 3:
            hand = list(self.spec.hand)
            lines.append(f"hand: {np.linalg.norm(recorded[hand] - imagined[hand]):.3f} m from where imagined")
        gaps = [abs(float(recorded[f.position] - imagined[f.position])) / f.span for f in self.spec.fixtures]
        if gaps:
            worst = self.spec.fixtures[int(np.argmax(gaps))]
            at, thought = recorded[worst.position], imagined[worst.position]
            lines.append(f"worst fixture: {worst.name} at {at:.2f}, imagined {thought:.2f} {worst.unit}")
        if not lines:
            error = np.abs(recorded - imagined)
            worst_column = int(np.argmax(error))
            variable = self.spec.observation[worst_column]
            lines.append(f"worst column: {variable.name} off by {error[worst_column]:.3g} {variable.unit}")
        return f"imagined {len(found.recorded) - 1} control steps ahead\n\n" + "\n\n".join(lines)
