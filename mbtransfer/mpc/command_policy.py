"""Commands to the body as a whole, such as a speed and a height, and one policy that follows any of them.

A command names some of the body's columns and a value for each. It is a goal of its own, which no task asked for: what
is learned by following commands serves tasks that come later. Goal babbling: Baranes and Oudeyer 2013, "Active learning
of inverse models with intrinsically motivated goal exploration in robots". Policies that are told their goal: Schaul et
al. 2015, "Universal value function approximators".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.task_policy import FOLDER, Actor
from planners.base import Bounds
from tasks.environment import Environment
from world_models.checkpoint.storage import load_tensors, save_tensors

FILE = "commands.safetensors"

RARE = 0.001
"""Share of the pool beyond either end of the range that commands are drawn from, before it is widened."""

BEYOND = 0.25
"""How far that range is widened at each end, as a share of it: commands lead a little beyond what was ever seen."""

STILL = 0.2
"""Columns that vary less than this share of the most variable one of their kind are left out: a body in a plane has no
sideways speed."""

UNIT = 0.05
"""Values nearer to zero than this share of half a column's range are as good as zero."""

NAMED = 0.5
"""Chance that a command names a column."""


@dataclass(frozen=True, eq=False)
class Commands:
    """What can be commanded.

    Attributes:
        columns: numbers of the K columns.
        low: least value that is commanded.
        high: greatest.
        unit: of each column, the distance that counts where the value is zero.
    """

    columns: tuple[int, ...]
    low: Float[Tensor, " K"]
    high: Float[Tensor, " K"]
    unit: Float[Tensor, " K"]

    @classmethod
    def of(cls, environment: Environment, obs: Float[Tensor, "N O"]) -> "Commands":
        """Commands for the body of an environment, in a range somewhat wider than that of observations.

        Raises:
            UserError: the environment says of no column that it is about the body as a whole, or none varies.
        """
        spec = environment.spec
        if not environment.body:
            raise UserError(f"{spec.name} has no columns of the body as a whole that could be commanded")
        spread = {name: float(obs[:, spec.index(name)].std()) for name in environment.body}
        most: dict[str, float] = {}
        for name, value in spread.items():
            most[_kind(name)] = max(most.get(_kind(name), 0.0), value)
        columns = tuple(spec.index(name) for name, x in spread.items() if x > STILL * most[_kind(name)])
        if not columns:
            raise UserError(f"{spec.name}: the body rests in all of the pool; collect more data first")
        seen = obs[:, list(columns)]
        low, high = (torch.quantile(seen, share, dim=0) for share in (RARE, 1 - RARE))
        wider = BEYOND * (high - low)
        halves = [(spec.observation[c].high - spec.observation[c].low) / 2 for c in columns]
        return cls(columns, low - wider, high + wider, UNIT * obs.new_tensor(halves))

    @property
    def size(self) -> int:
        """Columns of an encoded command: the values, and which of them are named."""
        return 2 * len(self.columns)

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "count C"]:
        """Random commands, each of at least one column."""
        shape, device = (count, len(self.columns)), self.low.device
        share = torch.rand(shape, generator=generator, device=device)
        named = torch.rand(shape, generator=generator, device=device) < NAMED
        one = torch.randint(shape[1], (count,), generator=generator, device=device)
        named[torch.arange(count), one] |= ~named.any(dim=1)
        return torch.cat([(2 * share - 1) * named, named.to(share)], dim=1)

    def reward(self, command: Float[Tensor, "*b C"], obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """How well a command is followed, from 0 to 1: the mean over its columns, and all of them at once.

        A column counts 1 at its value, and in proportion to the distance less, down to nothing at zero and at twice it.
        """
        share, named = command.chunk(2, dim=-1)
        value = (self.low + self.high) / 2 + share * (self.high - self.low) / 2
        apart = (obs[..., list(self.columns)] - value).abs() / torch.maximum(value.abs(), self.unit)
        close = (1.0 - apart).clamp(0.0, 1.0)
        mean = (close * named).sum(dim=-1) / named.sum(dim=-1)
        return (mean + close.where(named > 0, 1.0).prod(dim=-1)) / 2


def _kind(name: str) -> str:
    """A column's name without its axis."""
    head, _, tail = name.rpartition("_")
    return head if head and len(tail) == 1 else name


@dataclass(frozen=True, eq=False)
class CommandPolicy:
    """A policy that is told a command.

    Attributes:
        commands: what it understands.
        actor: reads an observation and the command after it.
        bounds: the action box.
        model: digest of the model that it was trained with.
        notes: details of the training.
    """

    commands: Commands
    actor: Actor
    bounds: Bounds
    model: str
    notes: dict[str, Any]

    def act(self, obs: Float[Tensor, "*b O"], command: Float[Tensor, "*b C"]) -> Float[Tensor, "*b A"]:
        """The action in each state."""
        with torch.no_grad():
            return self.bounds.middle + self.actor(torch.cat([obs, command], dim=-1)) * self.bounds.half

    def save(self, folder: Path) -> Path:
        """Write it into the model's folder, replacing the last one.

        Raises:
            ModelError: the folder cannot be written.
        """
        commands = self.commands
        tensors = {f"actor.{name}": x for name, x in self.actor.state_dict().items()}
        tensors |= {"low": commands.low, "high": commands.high, "unit": commands.unit}
        about = {"columns": list(commands.columns), "model": self.model, "notes": self.notes}
        save_tensors(folder / FOLDER / FILE, tensors, about)
        return folder / FOLDER / FILE


def load_command_policy(folder: Path, model: str, bounds: Bounds) -> CommandPolicy:
    """Load the policy for commands.

    Args:
        folder: folder of the model.
        model: digest of the model.
        bounds: the action box.

    Raises:
        ModelError: the file is damaged.
        UserError: there is none, or it belongs to another model.
    """
    path = folder / FOLDER / FILE
    if not path.is_file():
        raise UserError(f"no policy for commands; run `mbtransfer prepare --model {folder} --commands`")
    tensors, about = load_tensors(path)
    if about.get("model") != model:
        raise UserError(f"{path} was prepared with another model; run `mbtransfer prepare --commands` again")
    try:
        columns, notes = tuple(int(column) for column in about["columns"]), dict(about["notes"])
        commands = Commands(columns, tensors["low"], tensors["high"], tensors["unit"])
        weights = {name.removeprefix("actor."): x for name, x in tensors.items() if name.startswith("actor.")}
        actor = Actor(len(weights["centre"]), len(bounds.low))
        actor.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not what `mbtransfer prepare --commands` writes; run it again") from error
    return CommandPolicy(commands, actor.requires_grad_(False), bounds, model, notes)
