"""Quantities of a transition that rewards are made of: positions, distances, velocities, actions, changes."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layout import Body, Layout
from world_models.rewards.places import Place


class Quantities:
    """Computes the Q quantities of transitions.

    They lie in this order:

    1. `simple`: of the state reached, positions as shares of their range, in a layout without objects every column;
       distances from the hand to objects (m); actions. Most rewards need no others.
    2. `columns`: all other columns; `gaps` between the positions of every two objects; `speeds` of all bodies; the norm
       of the action; `moves`, the way of each body in this control step; and the shares and distances of the state
       before.
    3. `places`: distances (m) to places that were found from a task's labels.

    Attributes:
        names: name of each quantity.
        shares, distances, actions, columns, gaps, speeds, effort, moves, before, places: where they lie.
    """

    def __init__(
        self, layout: Layout, device: torch.device | str = "cpu", places: tuple[Place, ...] = ()
    ) -> None:
        limited = layout.limited if layout.objects else (True,) * layout.obs_size
        share = [i for i, is_limited in enumerate(limited) if is_limited]
        others = [i for i, is_limited in enumerate(limited) if not is_limited]
        bodies: list[Body] = [body for body in (layout.hand, *layout.objects) if body]
        fast = [body for body in bodies if body.velocities]
        pairs = list(combinations([body.positions[0] for body in layout.objects if body.positions], 2))
        shares = [layout.columns[i] for i in share]
        distances = [f"distance to {body.name}" for body in layout.objects]
        names: list[str] = []

        def place(group: list[str]) -> range:
            names.extend(group)
            return range(len(names) - len(group), len(names))

        self.shares, self.distances = place(shares), place(distances)
        self.actions = place([f"action {i}" for i in range(layout.action_size)])
        self.columns = place([layout.columns[i] for i in others])
        self.gaps = place([f"{layout.columns[i]} less {layout.columns[j]}" for i, j in pairs])
        self.speeds = place([f"speed of {body.name}" for body in fast])
        self.effort = place(["size of the action"])
        self.moves = place([f"way of {body.name}" for body in bodies])
        self.before = place([f"{name} before" for name in (*shares, *distances)])
        self.places = place([at.name for at in places])
        self.names = tuple(names)

        def index(columns: Iterable[int]) -> Tensor:
            return torch.tensor(list(columns), dtype=torch.long, device=device)

        low, high = torch.tensor(layout.low, device=device), torch.tensor(layout.high, device=device)
        self._share, self._columns = index(share), index(others)
        self._low, self._span = low[self._share, None], (high - low)[self._share, None]
        self._vectors = index(column for body in layout.objects for column in body.vector)
        self._pairs = index(i for i, _ in pairs), index(j for _, j in pairs)
        self._velocities = [index(body.velocities[: max(1, len(body.positions))]) for body in fast]
        self._positions = [index(body.positions) for body in bodies]
        self._places = [
            (index(at.body.positions), torch.tensor(at.point, device=device)[:, None]) for at in places
        ]

    @staticmethod
    @lru_cache(maxsize=64)
    def of(
        layout: Layout, device: torch.device | str = "cpu", places: tuple[Place, ...] = ()
    ) -> "Quantities":
        """The quantities of a layout, on a device; made once."""
        return Quantities(layout, device, places)

    def __len__(self) -> int:
        """Q."""
        return len(self.names)

    @property
    def simple(self) -> int:
        """Number of the quantities that are cheap, and enough for most rewards."""
        return self.actions.stop

    def __call__(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b Q"]:
        """All quantities of transitions."""
        return self.rows(obs[..., None], action[..., None], next_obs[..., None])[..., 0]

    def of_states(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b Q"]:
        """All quantities of states; those of actions and of the state before are zero."""
        return self.rows_of_states(obs[..., None])[..., 0]

    def rows(
        self, obs: Float[Tensor, "*h O N"], action: Float[Tensor, "*h A N"], next_obs: Float[Tensor, "*h O N"],
        *, simple: bool = False,
    ) -> Float[Tensor, "*h Q N"]:  # fmt: skip
        """The same with columns before rows, as imagined observations lie in memory; only the `simple` if asked."""
        parts = [self._shares(next_obs), self._distances(next_obs), action]
        if not simple:
            parts += [*self._more(next_obs), _norm(action), self._norms(next_obs - obs, self._positions)]
            parts += [self._shares(obs), self._distances(obs), *self._to_places(next_obs)]
        return torch.cat(parts, dim=-2)

    def rows_of_states(
        self, obs: Float[Tensor, "*h O N"], *, simple: bool = False
    ) -> Float[Tensor, "*h Q N"]:
        """`of_states` with columns before rows."""
        nothing = obs.new_zeros(()).expand(*obs.shape[:-2], len(self), obs.shape[-1])
        parts = [self._shares(obs), self._distances(obs), nothing[..., : len(self.actions), :]]
        if not simple:
            unknown = nothing[..., self.effort.start : self.places.start, :]
            parts += [*self._more(obs), unknown, *self._to_places(obs)]
        return torch.cat(parts, dim=-2)

    def _more(self, obs: Float[Tensor, "*h O N"]) -> list[Tensor]:
        one, other = (obs.index_select(-2, columns) for columns in self._pairs)
        return [obs.index_select(-2, self._columns), one - other, self._norms(obs, self._velocities)]

    def _shares(self, obs: Float[Tensor, "*h O N"]) -> Tensor:
        return (obs.index_select(-2, self._share) - self._low) / self._span

    def _distances(self, obs: Float[Tensor, "*h O N"]) -> Tensor:
        vector = obs.index_select(-2, self._vectors).unflatten(-2, (-1, 3))
        return vector.square().sum(dim=-2).clamp(min=1e-12).sqrt()

    def _to_places(self, obs: Float[Tensor, "*h O N"]) -> list[Tensor]:
        return [_norm(obs.index_select(-2, columns) - point) for columns, point in self._places]

    def _norms(self, x: Float[Tensor, "*h O N"], groups: Sequence[Tensor]) -> Tensor:
        if not groups:
            return x[..., :0, :]
        return torch.cat([_norm(x.index_select(-2, group)) for group in groups], dim=-2)


def _norm(x: Float[Tensor, "*h m N"]) -> Float[Tensor, "*h 1 N"]:
    return x.abs() if x.shape[-2] == 1 else x.square().sum(dim=-2, keepdim=True).clamp(min=1e-12).sqrt()
