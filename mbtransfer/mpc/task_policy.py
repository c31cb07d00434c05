"""Policies and value functions of prepared tasks, for single tasks and mixed batches."""

import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from mbtransfer.errors import UserError
from planners.base import Bounds
from world_models.checkpoint.atomic import listed
from world_models.checkpoint.storage import digest, load_tensors, save_tensors

WIDTH = 128

LOG_SCALE = (-5.0, 1.0)
"""Range of the logarithm of the standard deviation of a stochastic policy, before it is squashed."""


class Scaled(nn.Module):
    """A network with two hidden layers on normalised observations.

    Args:
        inputs: O, the number of observation columns.
        outputs: number of output columns.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.layers: nn.Module = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(),
            nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs),
        )  # fmt: skip

    def fit_normalizer(self, obs: Float[Tensor, "N O"]) -> None:
        """Fit the normalisation to observations."""
        self.centre.copy_(obs.mean(dim=0))
        self.scale.copy_(obs.std(dim=0).clamp(min=1e-3))

    def read(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b Y"]:
        """The network's output for observations."""
        y: Tensor = self.layers(((obs - self.centre) / self.scale).clamp(-10.0, 10.0))
        return y


class Actor(Scaled):
    """A deterministic policy; actions are from -1 to 1, relative to each column's range."""

    def forward(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """The action for each observation."""
        return torch.tanh(self.read(obs))


class GaussianActor(Actor):
    """A stochastic policy: normal distributions squashed into the action box.

    Haarnoja et al. 2018, "Soft actor-critic: off-policy maximum entropy deep reinforcement learning with a stochastic
    actor", appendix C. Called as any other policy, it acts by the mean.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 2 * outputs)

    def forward(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """The action of the mean for each observation."""
        return torch.tanh(self.read(obs).chunk(2, dim=-1)[0])

    def sample(
        self, obs: Float[Tensor, "*b O"], noise: Float[Tensor, "*b A"]
    ) -> tuple[Float[Tensor, "*b A"], Float[Tensor, "*b"]]:
        """An action for each observation, and how much surer it is than chance.

        Args:
            obs: observations.
            noise: standard normal draws.

        Returns:
            The actions, and log pi(a | s) less that of uniform actions, divided by A.
        """
        mean, width = self.read(obs).chunk(2, dim=-1)
        log_scale = width.clamp(*LOG_SCALE)
        free = mean + log_scale.exp() * noise
        squash = 2 * (math.log(2) - free - torch.nn.functional.softplus(-2 * free))
        density = -0.5 * noise.square() - log_scale - 0.5 * math.log(2 * math.pi) - squash
        return torch.tanh(free), density.mean(dim=-1) + math.log(2)


class Critic(nn.Module):
    """Two value estimates of a state, of which the lower one is used (Fujimoto et al. 2018, TD3)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first, self.second = Scaled(inputs, 1), Scaled(inputs, 1)

    def fit_normalizer(self, obs: Float[Tensor, "N O"]) -> None:
        """Fit the normalisation to observations."""
        self.first.fit_normalizer(obs)
        self.second.fit_normalizer(obs)

    def both(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "2 *b"]:
        """Both estimates."""
        return torch.stack([self.first.read(obs)[..., 0], self.second.read(obs)[..., 0]])

    def forward(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """The lower of the two estimates."""
        return self.both(obs).amin(dim=0)


FOLDER = "prepared"


@dataclass(frozen=True, eq=False)
class Prepared:
    """Policy and value function of one task under one model.

    Attributes:
        task: name of the task.
        model: digest of the model that they were trained with.
        actor: the policy, from -1 to 1.
        critic: the value, from 0 to 1.
        bounds: the action box.
        span: lowest and highest reward among the labels.
        discount: discount factor per control step.
        notes: details of the training.
    """

    task: str
    model: str
    actor: Actor
    critic: Critic
    bounds: Bounds
    span: tuple[float, float]
    discount: float
    notes: dict[str, Any]

    def policy(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """The action in each state."""
        with torch.no_grad():
            return self.bounds.middle + self.actor(obs) * self.bounds.half

    def value(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """The discounted return from each state."""
        low, high = self.span
        with torch.no_grad():
            share = self.critic(obs).clamp(0.0, 1.0)
        return (low + (high - low) * share) / (1 - self.discount)

    def save(self, folder: Path) -> Path:
        """Write it into the model's folder, replacing what was prepared for the task before.

        Raises:
            ModelError: the folder cannot be written.
        """
        parts: dict[str, nn.Module] = {"actor": self.actor, "critic": self.critic}
        tensors = {f"{part}.{name}": x for part, net in parts.items() for name, x in net.state_dict().items()}
        about = {
            "task": self.task, "model": self.model, "span": list(self.span), "discount": self.discount,
            "notes": self.notes,
        }  # fmt: skip
        path = prepared_path(folder, self.task)
        save_tensors(path, tensors, about)
        return path


def prepared_path(folder: Path, task: str) -> Path:
    """Path of the file with what was prepared for a task."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", task).strip("-")[:60]
    return folder / FOLDER / f"{slug}-{zlib.crc32(task.encode()):08x}.safetensors"


def prepared_digest(folder: Path) -> str:
    """Checksum of everything prepared for a model that plans depend on; empty if there is nothing.

    Raises:
        ModelError: a file is damaged.
    """
    whole = hashlib.sha256()
    files = listed(folder / FOLDER, "*.safetensors")
    for file in files:
        tensors, about = load_tensors(file)
        about.pop("notes", None)  # such as the duration of the training
        whole.update(digest(tensors, json.dumps(about, sort_keys=True)).encode())
    return whole.hexdigest()[:16] if files else ""


def load_prepared(folder: Path, task: str, model: str, bounds: Bounds) -> Prepared | None:
    """Load what was prepared for a task; None if nothing was.

    Args:
        folder: folder of the model.
        task: name of the task.
        model: digest of the model.
        bounds: the action box, on the device where the policy will run.

    Raises:
        ModelError: the file is damaged.
        UserError: it was prepared with another model, or is not such a file.
    """
    path = prepared_path(folder, task)
    if not path.is_file():
        return None
    tensors, about = load_tensors(path)
    if about.get("model") != model:
        raise UserError(f"{path} was prepared with another model; run `mbtransfer prepare` again")
    parts = {
        part: {name.removeprefix(f"{part}."): x for name, x in tensors.items() if name.startswith(f"{part}.")}
        for part in ("actor", "critic")
    }
    try:
        inputs, device = len(parts["actor"]["centre"]), bounds.low.device
        stochastic = len(parts["actor"]["layers.5.bias"]) == 2 * len(bounds.low)
        actor = (GaussianActor if stochastic else Actor)(inputs, len(bounds.low))
        critic = Critic(inputs)
        actor.load_state_dict(parts["actor"])
        critic.load_state_dict(parts["critic"])
        low, high = map(float, about["span"])
        discount, notes = float(about["discount"]), dict(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not what `mbtransfer prepare` writes; run it again") from error
    actor, critic = actor.to(device).requires_grad_(False), critic.to(device).requires_grad_(False)
    return Prepared(task, model, actor, critic, bounds, (low, high), discount, notes)


class MultiTaskPolicy:
    """Policies and values for B episodes with different tasks, whose candidates are consecutive rows.

    Args:
        prepared: policy and value of each task, all with the same discount.
        which: the task of each episode.
    """

    def __init__(self, prepared: Sequence[Prepared], which: Int[Tensor, " B"]) -> None:
        self._prepared, self._batch = prepared, len(which)
        self._rows = [(which == task).nonzero()[:, 0] for task in range(len(prepared))]
        self.discount = prepared[0].discount

    def policy(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R A"]:
        """The action in each state; R is a multiple of B."""
        size = len(self._prepared[0].bounds.low)
        return self._each(obs, obs.new_empty(*obs.shape[:-1], size), lambda one: one.policy)

    def value(self, obs: Float[Tensor, "*b R O"]) -> Float[Tensor, "*b R"]:
        """The discounted return from each state; R is a multiple of B."""

        def column(one: Prepared) -> Callable[[Tensor], Tensor]:
            return lambda states: one.value(states)[..., None]

        return self._each(obs, obs.new_empty(*obs.shape[:-1], 1), column)[..., 0]

    def _each(
        self, obs: Tensor, out: Tensor, what: Callable[[Prepared], Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """Fill `out` task by task."""
        states, found = (rearrange(x, "... (b n) y -> ... b n y", b=self._batch) for x in (obs, out))
        for one, rows in zip(self._prepared, self._rows, strict=True):
            if len(rows):
                found.index_copy_(-3, rows, what(one)(states.index_select(-3, rows)))
        return rearrange(found, "... b n y -> ... (b n) y")
