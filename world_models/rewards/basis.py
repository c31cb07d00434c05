"""Basis functions of reward heads.

An atom is a function of one quantity x (see `quantities.py`): |x - t|, its square, a bump 1[|x - t| <= w] or a decay
exp(-|x - t| / w). A term is a product of atoms, or the change of such a product in one control step. Sums of terms are
additive models with hinges at knots and their interactions (Friedman 1991, MARS; Hastie and Tibshirani 1990).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.rewards.quantities import Quantities

ABSOLUTE, BUMP, DECAY, SQUARE = 0, 1, 2, 3
KNOTS = 41
WIDTHS = (0.05, 0.1, 0.15, 0.2)
RADII = (0.05, 0.08, 0.12, 0.2)
REACHES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8)
"""Distances (m) at which a reward of a distance may bend."""
EDGE = 0.01
"""Width over which a bump's edge is smoothed for the planner, in units of its quantity."""

SHARP = 1e-5
"""The same while atoms are fitted: smooth bumps are patched with pairs of opposite ones, which make spikes."""

FAR = 10.0
"""Where open ends of intervals lie: beyond what positions, distances and actions reach, and nearly all velocities."""


@dataclass(frozen=True)
class Atoms:
    """Any number of atoms: which quantity, which kind, where, how wide."""

    quantity: Int[Tensor, "*m"]
    kind: Int[Tensor, "*m"]
    at: Float[Tensor, "*m"]
    width: Float[Tensor, "*m"]

    @classmethod
    def of(cls, rows: list[tuple[int, int, float, float]]) -> "Atoms":
        """From rows of quantity, kind, place and width."""
        quantity, kind, at, width = zip(*rows, strict=True) if rows else ((), (), (), ())
        whole = (torch.tensor(values, dtype=torch.long) for values in (quantity, kind))
        return cls(*whole, *(torch.tensor(values, dtype=torch.float32) for values in (at, width)))

    def __call__(self, x: Float[Tensor, "*b Q"], edge: float = EDGE) -> Float[Tensor, "..."]:
        """The value of each atom, with edges of bumps that wide."""
        values = x.new_empty(*x.shape[:-1], *self.at.shape)
        for kind in self.kind.unique().tolist():
            these = self.kind == kind
            gap = (x[..., self.quantity[these]] - self.at[these]).abs()
            values[..., these] = _VALUES[kind](gap, self.width[these], edge)
        return values

    def of_columns(self, x: Float[Tensor, "... N"]) -> Float[Tensor, "... N"]:
        """The value of each atom for N rows, each given its own quantity."""
        kind, at, width = (part[..., None] for part in (self.kind, self.at, self.width))
        gap = (x - at).abs()
        value = gap
        for k in (BUMP, DECAY, SQUARE):
            if k == BUMP or bool((kind == k).any()):
                value = torch.where(kind == k, _VALUES[k](gap, width, EDGE), value)
        return value

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: Tensor | slice | int | tuple[object, ...]) -> "Atoms":
        return Atoms(*(part[index] for part in vars(self).values()))

    def and_also(self, more: "Atoms") -> "Atoms":
        """These atoms and then others."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return Atoms(*(torch.cat(pair) for pair in pairs))


ONE = (0, BUMP, 0.0, torch.inf)
"""The atom that is 1 everywhere."""


_VALUES: dict[int, Callable[[Tensor, Tensor, float], Tensor]] = {
    ABSOLUTE: lambda gap, width, edge: gap,
    BUMP: lambda gap, width, edge: torch.sigmoid((width - gap) / edge),
    DECAY: lambda gap, width, edge: torch.exp(-gap / width),
    SQUARE: lambda gap, width, edge: gap.square(),
}
"""By kind: the value at a distance from the atom's place."""


@dataclass(frozen=True)
class Terms:
    """M products of F atoms.

    Attributes:
        atoms: [M F] of them; `ONE` where there are fewer than F factors.
        change: whether the first factor counts by its change in the control step.
    """

    atoms: Atoms
    change: Bool[Tensor, " M"]

    @classmethod
    def single(cls, atoms: Atoms, change: Bool[Tensor, " M"] | None = None) -> "Terms":
        """Terms of one atom each."""
        return cls(atoms[:, None], torch.zeros(len(atoms), dtype=torch.bool) if change is None else change)

    def __len__(self) -> int:
        return len(self.change)

    def __getitem__(self, index: Tensor | slice) -> "Terms":
        return Terms(self.atoms[index], self.change[index])

    def and_also(self, more: "Terms") -> "Terms":
        """These terms and then others."""
        most = max(self.atoms.at.shape[1], more.atoms.at.shape[1])
        one, two = self.padded(most), more.padded(most)
        return Terms(one.atoms.and_also(two.atoms), torch.cat([one.change, two.change]))

    def padded(self, factors: int) -> "Terms":
        """The same terms with that many factors each."""
        gap = factors - self.atoms.at.shape[1]
        if gap == 0:
            return self
        ones = Atoms.of([ONE] * (len(self) * gap))
        parts = zip(vars(self.atoms).values(), vars(ones).values(), strict=True)
        return Terms(Atoms(*(torch.cat([a, b.view(len(self), gap)], 1) for a, b in parts)), self.change)

    def times(self, factors: Atoms) -> "Terms":
        """Each term times its own [m F] further factors."""
        parts = zip(vars(self.atoms).values(), vars(factors).values(), strict=True)
        return Terms(Atoms(*(torch.cat(pair, dim=1) for pair in parts)), self.change)

    def __call__(self, x: Float[Tensor, "N Q"], before: int) -> Float[Tensor, "N M"]:
        """The value of each term, with sharp edges.

        Args:
            x: quantities of transitions.
            before: how far behind a quantity its value before the control step lies.
        """
        first = self.atoms[:, 0]
        value = first(x, SHARP)
        if bool(self.change.any()):
            changed = first[self.change]
            earlier = replace(changed, quantity=changed.quantity + before)
            value[:, self.change] -= earlier(x, SHARP)
        for i in range(1, self.atoms.at.shape[1]):
            more = self.atoms.width[:, i] < torch.inf
            if bool(more.any()):
                value[:, more] *= self.atoms[more, i](x, SHARP)
        return value

    def expanded(self, weights: Float[Tensor, " M"], before: int) -> tuple["Terms", Float[Tensor, " M"]]:
        """The same sum without changes: each becomes a term of the state reached and one of the state before."""
        index = self.change.nonzero()[:, 0]
        earlier = self.atoms[index]
        quantity = earlier.quantity.clone()
        quantity[:, 0] += before
        still = torch.zeros_like(self.change)
        here = Terms(self.atoms, still)
        there = Terms(replace(earlier, quantity=quantity), still[index])
        return here.and_also(there), torch.cat([weights, -weights[index]])


def dictionary(quantities: Quantities, x: Float[Tensor, "N Q"]) -> Terms:
    """All terms of one atom that a head may choose from; those of velocities and ways depend on the labels' range."""
    plain: list[tuple[int, int, float, float]] = []
    knots = torch.linspace(0.0, 1.0, KNOTS).tolist()
    for q in quantities.shares:
        plain += [(q, ABSOLUTE, t, 1.0) for t in knots]
        plain += [(q, BUMP, t, width) for t in knots for width in WIDTHS]
    for q in (*quantities.distances, *quantities.places):
        plain += [(q, ABSOLUTE, t, 1.0) for t in (0.0, *REACHES)]
        plain += [(q, kind, 0.0, radius) for kind in (BUMP, DECAY) for radius in RADII]
    plain += [(q, SQUARE, 0.0, 1.0) for q in quantities.places]
    for q in quantities.actions:
        plain += [(q, ABSOLUTE, 0.0, 1.0), (q, SQUARE, 0.0, 1.0), (q, ABSOLUTE, -FAR, 1.0)]
    high = x.abs().quantile(0.995, dim=0).tolist()
    for q in (*quantities.columns, *quantities.gaps):
        plain += [(q, ABSOLUTE, high[q] * t, 1.0) for t in torch.linspace(-1, 1, 9).tolist()]
    for q in (*quantities.speeds, *quantities.effort, *quantities.moves):
        steps = [high[q] * (i / 12) ** 2 for i in range(13)]
        plain += [(q, ABSOLUTE, t, 1.0) for t in steps] + [above(q, t) for t in steps[1:-1]]
        plain.append((q, SQUARE, 0.0, 1.0))
    change = [(q, ABSOLUTE, t, 1.0) for q in quantities.shares for t in knots]
    change += [(q, ABSOLUTE, 0.0, 1.0) for q in quantities.distances]
    flags = torch.arange(len(plain) + len(change)) >= len(plain)
    return Terms.single(Atoms.of(plain + change), flags)


def above(quantity: int, threshold: float) -> tuple[int, int, float, float]:
    """The atom that is 1 where a quantity is above a threshold."""
    return (quantity, BUMP, threshold + FAR, FAR)
