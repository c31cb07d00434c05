"""Transitions and segments of episodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Layout


@dataclass(frozen=True, eq=False)
class Transitions:
    """B control steps side by side, on one device.

    Attributes:
        obs: [B, O], observation before each step, in the environment's units.
        actions: [B, A], action of each step.
        next_obs: [B, O], observation after it.

    Raises:
        ModelError: not float32 tensors of matching shapes, or a value that is NaN or infinite.
    """

    # Plain tensors to the type checker: __post_init__ checks them always, in words for the user.
    obs: Tensor
    actions: Tensor
    next_obs: Tensor

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check(f"transitions: {name}", value, axes=2)
        shape = tuple(self.obs.shape)
        if tuple(self.next_obs.shape) != shape:
            raise ModelError(f"transitions: next_obs is {tuple(self.next_obs.shape)}, but obs is {shape}")
        if len(self.actions) != len(self.obs):
            raise ModelError(f"transitions: {len(self.obs)} observations, but {len(self.actions)} actions")

    def __len__(self) -> int:
        """B."""
        return len(self.obs)

    def __getitem__(self, rows: Tensor | slice) -> "Transitions":
        """Some of the transitions, chosen by a mask, an index or a slice."""
        return Transitions(self.obs[rows], self.actions[rows], self.next_obs[rows])

    def is_continuation(self) -> Bool[Tensor, " B"]:
        """Whether each begins exactly where the one before it ended, and so goes on with its episode."""
        same = (self.obs[1:] == self.next_obs[:-1]).all(dim=1)
        return torch.cat([same.new_zeros(min(len(self), 1)), same])

    def to(self, device: torch.device | str) -> "Transitions":
        """The same on another device."""
        return Transitions(self.obs.to(device), self.actions.to(device), self.next_obs.to(device))

    @classmethod
    def join(cls, parts: Sequence["Transitions"]) -> "Transitions":
        """All parts, one after the other.

        Raises:
            ModelError: no parts, or parts of different sizes.
        """
        obs, actions = ({getattr(part, name).shape[1] for part in parts} for name in ("obs", "actions"))
        if len(obs) != 1 or len(actions) != 1:
            raise ModelError(
                f"cannot join transitions of {obs or 'no'} columns and {actions or 'no'} actions"
            )
        columns = ("obs", "actions", "next_obs")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in columns))

    @classmethod
    def of(cls, episodes: Sequence[tuple[Tensor, Tensor]]) -> "Transitions":
        """Every step of episodes, each given as obs [T+1, O] and actions [T, A]."""
        return cls.join([cls(obs[:-1], actions, obs[1:]) for obs, actions in episodes])


@dataclass(frozen=True, eq=False)
class Segments:
    """N stretches of H control steps, cut from episodes, on one device.

    Attributes:
        obs: [N, H+1, O], the observations along each stretch.
        actions: [N, H, A], what was done along it.

    Raises:
        ModelError: as `Transitions`.
    """

    obs: Tensor
    actions: Tensor

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check(f"segments: {name}", value, axes=3)
        rows, points, _ = self.obs.shape
        if tuple(self.actions.shape[:2]) != (rows, points - 1):
            found, expected = tuple(self.actions.shape[:2]), (rows, points - 1)
            raise ModelError(f"segments: actions are {found} rows and steps, expected {expected}")

    def __len__(self) -> int:
        """N."""
        return len(self.obs)

    @property
    def horizon(self) -> int:
        """H."""
        return self.actions.shape[1]

    def to(self, device: torch.device | str) -> "Segments":
        """The same on another device."""
        return Segments(self.obs.to(device), self.actions.to(device))

    @classmethod
    def cut(
        cls,
        episodes: Sequence[tuple[Float[Tensor, "_ O"], Float[Tensor, "_ A"]]],
        horizon: int,
        count: int,
        generator: torch.Generator,
    ) -> "Segments":
        """At most `count` stretches, each start equally likely and none taken twice.

        Args:
            episodes: obs [T+1, O] and actions [T, A] of each.
            horizon: H.
            count: N, where the episodes have so many.
            generator: where to cut.

        Raises:
            ModelError: no episode has `horizon` steps.
        """
        starts = [(k, t) for k, (_, act) in enumerate(episodes) for t in range(len(act) - horizon + 1)]
        if horizon < 1 or not starts:
            raise ModelError(f"no held-out episode is as long as the {horizon} steps of a roll-out")
        at = [starts[i] for i in torch.randperm(len(starts), generator=generator)[:count].tolist()]
        obs = torch.stack([episodes[k][0][t : t + horizon + 1] for k, t in at])
        return cls(obs, torch.stack([episodes[k][1][t : t + horizon] for k, t in at]))


def check_sizes(data: Transitions | Segments, layout: Layout) -> None:
    """See that data are of the model's world.

    Raises:
        ModelError: another number of observation columns or actions, or no rows.
    """
    found = data.obs.shape[-1], data.actions.shape[-1]
    expected = layout.obs_size, layout.action_size
    kind = type(data).__name__.lower()
    if found != expected:
        raise ModelError(
            f"{kind} have {found[0]} observation columns and {found[1]} actions, "
            f"the model {expected[0]} and {expected[1]}"
        )
    if not len(data):
        raise ModelError(f"no {kind} to fit or judge a model by")


def _check(name: str, value: object, axes: int) -> None:
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise ModelError(f"{name} must be a float32 tensor, not {found}")
    if value.ndim != axes:
        raise ModelError(f"{name} has shape {tuple(value.shape)}, expected {axes} axes")
    if not bool(value.isfinite().all()):
        at = (~value.isfinite()).nonzero()[0].tolist()
        raise ModelError(f"{name} is {float(value[tuple(at)])} at {at}; every value must be finite")
