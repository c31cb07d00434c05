"""Basis functions of reward heads, and success as a box of intervals.

A quantity is a joint position as a share of its range, the distance to an object's handle (m), or an action.
An atom is |x - t|, a bump 1[|x - t| <= w] or a decay exp(-|x - t| / w). Sums of such functions of single
quantities are additive models with hinges at knots (Friedman 1991, MARS; Hastie and Tibshirani 1990).

Boxes: Friedman and Fisher (1999), "Bump hunting in high-dimensional data" (PRIM), from the inside out.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
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


FAR = 10.0
"""No quantity ever comes here."""

SIDES = 4
"""Quantities that a box constrains at the most."""


@dataclass(frozen=True)
class Box:
    """Intervals [low, high] of `SIDES` quantities; unused sides are infinitely wide."""

    quantity: Int[Tensor, "*k S"]
    low: Float[Tensor, "*k S"]
    high: Float[Tensor, "*k S"]

    def __call__(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "..."]:
        """How far inside each box: near one inside, near zero outside, a half on the edge; [*b *k]."""
        return self.of_columns(x[..., self.quantity, None])[..., 0]

    def of_columns(self, x: Float[Tensor, "*h S N"]) -> Float[Tensor, "*h N"]:
        """The same for N rows, each side given its own quantity."""
        inside = torch.minimum(x - self.low[..., None], self.high[..., None] - x)
        return torch.sigmoid(inside.amin(dim=-2) / EDGE)

    def bumps(self) -> Atoms:
        """Its sides as atoms: rewards often jump where success begins. An open end lies far away."""
        low, high = self.low.clamp(min=-FAR), self.high.clamp(max=FAR)
        used = (self.low > -FAR) | (self.high < FAR)
        used &= self.low < self.high
        at, width = (low + high)[used] / 2, (high - low)[used] / 2
        return Atoms(self.quantity[used], torch.full_like(self.quantity[used], BUMP), at, width)


def find_box(x: Float[Tensor, "N Q"], success: Bool[Tensor, " N"]) -> Box:
    """The box of few sides that holds every success and the fewest failures; empty where none succeeded."""
    quantity = torch.zeros(SIDES, dtype=torch.long)
    low, high = torch.full((SIDES,), -torch.inf), torch.full((SIDES,), torch.inf)
    if not bool(success.any()):
        return Box(quantity, high.clone(), low.clone())
    wins, fails = x[success], x[~success]
    floor, roof = wins.amin(dim=0), wins.amax(dim=0)
    for side in range(SIDES):
        shut = (fails < floor) | (fails > roof)
        best = int(shut.sum(dim=0).argmax())
        if int(shut[:, best].sum()) <= 0.02 * len(wins):
            break
        quantity[side] = best
        low[side] = _edge(fails[:, best], floor[best], below=True)
        high[side] = _edge(fails[:, best], roof[best], below=False)
        fails = fails[~shut[:, best]]
    return Box(quantity, low, high)


def _edge(fails: Tensor, hull: Tensor, below: bool) -> float:
    """Half way between the outermost success and the nearest failure beyond it; open where there is none."""
    beyond = fails[fails < hull] if below else fails[fails > hull]
    if len(beyond) == 0:
        return -torch.inf if below else torch.inf
    nearest = beyond.max() if below else beyond.min()
    return float((hull + nearest) / 2)
