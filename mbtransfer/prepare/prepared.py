"""What was prepared for a task: plain functions for the planner, and a file beside the model."""

import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.prepare.networks import Actor, Critic
from planners.base import Bounds
from world_models.storage import load_tensors, save_tensors

FOLDER = "prepared"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A policy and a value of one task under one model.

    Attributes:
        task: its name.
        model: digest of the model that it was imagined with.
        actor: the policy, from -1 to 1.
        critic: the value, from 0 to 1.
        bounds: the action box.
        span: lowest and highest reward that the labels showed.
        discount: of rewards, per control step.
        notes: how it came about, for those who ask.
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
        """What to do in each state."""
        with torch.no_grad():
            return self.bounds.middle + self.actor(obs) * self.bounds.half

    def value(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """The discounted reward still to come from each state."""
        low, high = self.span
        with torch.no_grad():
            share = self.critic(obs).clamp(0.0, 1.0)
        return (low + (high - low) * share) / (1 - self.discount)

    def save(self, folder: Path) -> Path:
        """Write it beside the model in `folder`; what was prepared for the task before is replaced.

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
    """Where what was prepared for a task lies."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", task).strip("-")[:60]
    return folder / FOLDER / f"{slug}-{zlib.crc32(task.encode()):08x}.safetensors"


def prepared_digest(folder: Path) -> str:
    """Checksum of all that was prepared for a model; empty where nothing was."""
    files = sorted((folder / FOLDER).glob("*.safetensors"))
    whole = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
    return whole.hexdigest()[:16] if files else ""


def load_prepared(folder: Path, task: str, model: str, bounds: Bounds) -> Prepared | None:
    """What was prepared for a task; None where nothing was.

    Args:
        folder: of the model.
        task: its name.
        model: digest of the model.
        bounds: the action box, on the device where it shall act.

    Raises:
        ModelError: the file is damaged.
        UserError: it was prepared with another model, or is no such file.
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
        actor, critic = Actor(inputs, len(bounds.low)), Critic(inputs)
        actor.load_state_dict(parts["actor"])
        critic.load_state_dict(parts["critic"])
        low, high = map(float, about["span"])
        discount, notes = float(about["discount"]), dict(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not what `mbtransfer prepare` writes; run it again") from error
    actor, critic = actor.to(device).requires_grad_(False), critic.to(device).requires_grad_(False)
    return Prepared(task, model, actor, critic, bounds, (low, high), discount, notes)
