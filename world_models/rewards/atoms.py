"""The vocabulary of rewards: simple functions of one quantity at a time, of which a head picks a few.

A quantity is a joint position as a share of its range, the distance to an object's handle (m), or an action.
An atom is |x - t|, a bump 1[|x - t| <= w] or a decay exp(-|x - t| / w). Sums of such functions of single
quantities are additive models with hinges at knots (Friedman 1991, MARS; Hastie and Tibshirani 1990).
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.layout import Layout

ABSOLUTE, BUMP, DECAY = 0, 1, 2
KNOTS = 41
WIDTHS = (0.05, 0.1, 0.15, 0.2)
RADII = (0.05, 0.08, 0.12, 0.2)
EDGE = 0.01
"""Width over which a bump's edge is smoothed for the planner, in units of its quantity."""

SHARP = 1e-5
"""The same while atoms are fitted: smooth bumps are patched with pairs of opposite ones, which make spikes."""


@dataclass(frozen=True)
class Atoms:
    """Any number of atoms: which quantity, which kind, where, how wide."""

    quantity: Int[Tensor, "*m"]
    kind: Int[Tensor, "*m"]
    at: Float[Tensor, "*m"]
    width: Float[Tensor, "*m"]

    def __call__(self, x: Float[Tensor, "*b Q"], edge: float = EDGE) -> Float[Tensor, "..."]:
        """The value of each atom, with edges of bumps that wide."""
        return _valued(x[..., self.quantity], self.kind, self.at, self.width, edge)

    def of_columns(self, x: Float[Tensor, "*h m N"]) -> Float[Tensor, "*h m N"]:
        """The value of each atom for N rows, each given its own quantity."""
        kind, at, width = (part[..., None] for part in (self.kind, self.at, self.width))
        return _valued(x, kind, at, width, EDGE)

    def __getitem__(self, index: Tensor) -> "Atoms":
        return Atoms(self.quantity[index], self.kind[index], self.at[index], self.width[index])

    def and_also(self, more: "Atoms") -> "Atoms":
        """These atoms and then others."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return Atoms(*(torch.cat(pair) for pair in pairs))

    def moved(self, shift: float | Tensor) -> "Atoms":
        """The same atoms elsewhere."""
        return Atoms(self.quantity, self.kind, self.at + shift, self.width)


def _valued(x: Tensor, kind: Tensor, at: Tensor, width: Tensor, edge: float) -> Tensor:
    gap = (x - at).abs()
    bump = torch.sigmoid((width - gap) / edge)
    decay = torch.exp(-gap / width)
    return torch.where(kind == ABSOLUTE, gap, torch.where(kind == BUMP, bump, decay))


def quantities(
    layout: Layout, action: Float[Tensor, "*b A"], obs: Float[Tensor, "*b O"]
) -> Float[Tensor, "*b Q"]:
    """Positions as shares of their range, distances to objects (m), actions; without objects every column."""
    return quantity_columns(layout, action[..., None], obs[..., None])[..., 0]


def quantity_columns(
    layout: Layout, action: Float[Tensor, "*h A N"], obs: Float[Tensor, "*h O N"]
) -> Float[Tensor, "*h Q N"]:
    """The same with columns before rows, as imagined observations lie in memory."""
    columns, low, span, vectors = _places(layout, obs.device)
    share = (obs.index_select(-2, columns) - low) / span
    vector = obs.index_select(-2, vectors).unflatten(-2, (-1, 3))
    distances = vector.square().sum(dim=-2).clamp(min=1e-12).sqrt()
    return torch.cat([share, distances, action], dim=-2)


@lru_cache(maxsize=8)
def _places(layout: Layout, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Columns that are shares of a range, their low ends and ranges, and the vectors to objects [3n]."""
    named = torch.tensor(layout.limited if layout.objects else [True] * layout.obs_size, device=device)
    low, high = torch.tensor(layout.low, device=device), torch.tensor(layout.high, device=device)
    columns = named.nonzero()[:, 0]
    vectors = [column for body in layout.objects for column in body.vector]
    at = torch.tensor(vectors, dtype=torch.long, device=device)
    return columns, low[columns, None], (high - low)[columns, None], at


def quantity_names(layout: Layout) -> list[str]:
    """What each of the Q quantities is."""
    shares = [name for name, limited in zip(layout.columns, layout.limited, strict=True) if limited]
    names = shares if layout.objects else list(layout.columns)
    distances = [f"distance to {body.name}" for body in layout.objects]
    return names + distances + [f"action {i}" for i in range(layout.action_size)]


def dictionary(layout: Layout) -> Atoms:
    """All atoms that a head may choose from."""
    names = quantity_names(layout)
    distances = range(len(names) - layout.action_size - len(layout.objects), len(names) - layout.action_size)
    rows: list[tuple[int, int, float, float]] = []
    for q in range(len(names)):
        if q in distances:
            rows.append((q, ABSOLUTE, 0.0, 1.0))
            rows += [(q, kind, 0.0, radius) for kind in (BUMP, DECAY) for radius in RADII]
        elif q >= len(names) - layout.action_size:
            rows.append((q, ABSOLUTE, 0.0, 1.0))
        else:
            knots = torch.linspace(0.0, 1.0, KNOTS).tolist()
            rows += [(q, ABSOLUTE, t, 1.0) for t in knots]
            rows += [(q, BUMP, t, width) for t in knots for width in WIDTHS]
    quantity, kind, at, width = zip(*rows, strict=True)
    return Atoms(torch.tensor(quantity), torch.tensor(kind), torch.tensor(at), torch.tensor(width))
