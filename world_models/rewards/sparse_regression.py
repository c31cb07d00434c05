"""Orthogonal least squares with forward selection: a reward as a sum of few terms.

Chen, Cowan and Grant (1991); after each choice every earlier one is chosen anew, as in forward selection
with replacement (Miller 2002, section 3.4). The number of terms is settled on held-out labels. What single atoms
leave over is then looked for among products with the indicators found (Friedman 1991, MARS, section 3.5).
"""

from dataclasses import dataclass, replace

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from world_models.rewards.basis import ABSOLUTE, BUMP, KNOTS, ONE, SHARP, SQUARE, Atoms, Terms, above
from world_models.rewards.quantities import Quantities

SEARCH_ROWS = 1500
"""Labels used to search for structure; the weights are then fitted on all of them."""

RECONSIDER = 6
"""Up to this many terms earlier choices are reconsidered."""

PRODUCTS = 0.002
"""Share of the variance left by single atoms from which on products are tried."""

NARROWEST = 1e-4
"""Half width of the narrowest bump."""

SUPPORT, NOTHING = 20, 1e-3
"""Labels at which a product must not be zero: fewer say nothing of what it is worth. Zero is less than this."""

MOST_TERMS, PATIENCE = 20, 3
"""Terms at the most with products, and choices without a gain after which the search ends."""


@dataclass(frozen=True)
class Fit:
    """Terms, their weights (the last is the constant's), and the share of the variance of held-out labels left."""

    terms: Terms
    weights: Float[Tensor, " W"]
    error: float


def forward_selection(
    terms: Terms,
    x: Float[Tensor, "N Q"],
    y: Float[Tensor, " N"],
    before: int = 0,
    most: int = 10,
    prior: Float[Tensor, " M"] | None = None,
) -> Fit:
    """Choose terms of one atom each.

    Args:
        terms: what to choose from.
        x: the quantities of N labelled transitions; the first `SEARCH_ROWS` are searched.
        y: their labels.
        before: how far behind a quantity its value before the control step lies.
        most: terms at the most.
        prior: factor on each term's gain: below one for those that should be chosen with reluctance.
    """
    data = _Data(x, y, before)
    values = data.values(terms)
    search = _Search(values[: data.cut], data.train, torch.ones(len(terms)) if prior is None else prior)
    best: list[int] = []
    best_error = data.error_of_mean
    chosen: list[int] = []
    for _ in range(min(most, max(1, data.cut // 8))):
        chosen = search.reconsidered([*chosen, search.next(chosen)])
        error = data.error(values[:, chosen])
        if error < 0.95 * best_error:
            best, best_error = list(chosen), error
        if error < 1e-6:
            break
    found = terms[torch.tensor(best, dtype=torch.long)]
    return data.fitted(data.polished(found), best_error)


def add_products(
    fit: Fit, quantities: Quantities, sides: Atoms, x: Float[Tensor, "N Q"], y: Float[Tensor, " N"]
) -> Fit:
    """Look for products of indicators and other atoms; the fit itself if they explain no more.

    Args:
        fit: terms of one atom each.
        quantities: what x holds.
        sides: further indicators that may matter, such as the sides of success.
        x: the quantities of N labelled transitions; the first `SEARCH_ROWS` are searched.
        y: their labels.
    """
    data = _Data(x, y, quantities.before.start)
    plain, gates = _factors(fit.terms, quantities, sides)
    own = data.values(fit.terms)
    open_at = gates(data.x[: data.n], SHARP).prod(dim=-1).float()
    values = einsum(open_at, data.values(plain).float(), "n gate, n plain -> n gate plain").flatten(1)
    search = _Deflation(values[: data.cut], own[: data.cut], data.train)
    best, best_error = 0, data.error(own)
    chosen: list[int] = []
    while len(fit.terms) + len(chosen) < MOST_TERMS and len(chosen) - best < PATIENCE:
        at = search.next()
        if at < 0:
            break
        chosen.append(at)
        error = data.error(torch.cat([own, values[:, chosen].double()], dim=1))
        if error < 0.95 * best_error:
            best, best_error = len(chosen), error
        if error < 1e-6:
            break
    if not best:
        return fit
    index = torch.tensor(chosen[:best])
    found = fit.terms.and_also(plain[index % len(plain)].times(gates[index // len(plain)]))
    polished = data.polished(data.pruned(found))
    return data.fitted(polished, data.error(data.values(polished)))


class _Data:
    """Labels as the search sees them: its rows, and those of them that are held out."""

    def __init__(self, x: Tensor, y: Tensor, before: int) -> None:
        self.x, self.y, self.before = x.double(), y.double(), before
        self.n = min(len(x), SEARCH_ROWS)
        self.cut = self.n - max(1, self.n // 5)
        self.train = self.y[: self.cut]
        self.spread = self.y[: self.n].var().clamp(min=1e-300)
        self.error_of_mean = float(
            (self.y[self.cut : self.n] - self.train.mean()).square().mean() / self.spread
        )

    def values(self, terms: Terms) -> Tensor:
        return terms(self.x[: self.n], self.before)

    def error(self, values: Tensor) -> float:
        """Held-out error of a least squares fit."""
        weights = _least_squares(values[: self.cut], self.train)
        left = self.y[self.cut : self.n] - _apply(values[self.cut :], weights)
        return float(left.square().mean() / self.spread)

    def fitted(self, terms: Terms, error: float) -> Fit:
        """Weights from all labels."""
        return Fit(terms, _least_squares(terms(self.x, self.before), self.y).float(), error)

    def pruned(self, terms: Terms) -> Terms:
        """Without the terms that held-out labels do not miss."""
        values, kept = self.values(terms), list(range(len(terms)))
        error = self.error(values)
        for i in reversed(range(len(terms))):
            rest = [k for k in kept if k != i]
            without = self.error(values[:, rest])
            if without <= 1.01 * error:
                kept, error = rest, min(error, without)
        return terms[torch.tensor(kept, dtype=torch.long)]

    def polished(self, terms: Terms) -> Terms:
        """Move places and edges by less than a knot to where the labels fit best."""
        if not len(terms):
            return terms
        values = self.values(terms)
        y = self.y[: self.n]
        for i in range(len(terms)):
            others = torch.cat([values[:, :i], values[:, i + 1 :], values.new_ones(self.n, 1)], dim=1)
            basis = torch.linalg.qr(others).Q
            residual = y - basis @ (basis.T @ y)
            for f in range(terms.atoms.at.shape[1]):
                for shape in _MOVES.get(int(terms.atoms.kind[i, f]), ()):
                    step = 1.0 / (KNOTS - 1)
                    for _ in range(3):
                        terms = self._moved(terms, i, f, shape, step, basis, residual)
                        step /= 5
            values[:, i] = self.values(terms[i : i + 1])[:, 0]
        return terms

    def _moved(
        self, terms: Terms, i: int, f: int, shape: tuple[float, float], step: float, basis: Tensor, residual: Tensor
    ) -> Terms:  # fmt: skip
        """The terms with factor f of term i moved to the best of eleven places, if that is clearly better."""
        if not bool(torch.isfinite(terms.atoms.width[i, f])):
            return terms
        shifts = torch.linspace(-1.0, 1.0, 11) * step
        shifts[5] = 0.0
        variants = terms[torch.full((11,), i)]
        variants.atoms.at[:, f] += shape[0] * shifts
        variants.atoms.width[:, f] += shape[1] * shifts
        variants.atoms.width.clamp_(min=NARROWEST)
        values = self.values(variants)
        values = values - basis @ (basis.T @ values)
        gain = (values.T @ residual).square() / values.square().sum(dim=0).clamp(min=1e-12)
        left = residual.square().sum() - gain
        best = int(left.argmin())
        if float(left[best]) >= 0.9 * float(left[5]):
            return terms
        moved = {
            name: getattr(terms.atoms, name).index_copy(
                0, torch.tensor([i]), getattr(variants.atoms, name)[[best]]
            )
            for name in ("at", "width")
        }
        return Terms(replace(terms.atoms, **moved), terms.change)


_MOVES = {ABSOLUTE: ((1.0, 0.0),), BUMP: ((0.5, 0.5), (0.5, -0.5)), SQUARE: ((1.0, 0.0),)}
"""By kind: how place and width follow a shift; a bump's upper and lower edge move one at a time."""


class _Search:
    """Which term lowers the squared error most, given those chosen already."""

    def __init__(self, values: Tensor, y: Tensor, prior: Tensor) -> None:
        self._values, self._y = values - values.mean(dim=0), y - y.mean()
        self._norms = self._values.square().sum(dim=0)
        self._prior = torch.where(self._norms > 1e-6 * len(y), prior.double(), 0.0)

    def next(self, chosen: list[int]) -> int:
        residual, left = self._y, self._norms
        if chosen:
            basis = torch.linalg.qr(self._values[:, chosen]).Q
            residual = residual - basis @ (basis.T @ residual)
            left = left - (basis.T @ self._values).square().sum(dim=0)
        gain = (self._values.T @ residual).square() / left.clamp(min=1e-9) * self._prior
        gain[left < 1e-4 * self._norms] = -1.0
        return int(gain.argmax())

    def reconsidered(self, chosen: list[int]) -> list[int]:
        if not 2 <= len(chosen) <= RECONSIDER:
            return chosen
        for i in range(len(chosen) - 1):
            rest = chosen[:i] + chosen[i + 1 :]
            chosen = [*chosen[:i], self.next(rest), *chosen[i + 1 :]]
        return chosen


class _Deflation:
    """The same without second thoughts, for very many terms: each choice is projected out once."""

    def __init__(self, values: Tensor, own: Tensor, y: Tensor) -> None:
        self._values = (values - values.mean(dim=0)).float()
        rare = (values.abs() > NOTHING).sum(dim=0) < SUPPORT
        self._norms = self._values.square().sum(dim=0).masked_fill(rare, 0.0)
        self._left, self._residual = self._norms.clone(), (y - y.mean()).float()
        self._basis: list[Tensor] = []
        for column in (own - own.mean(dim=0)).T:
            self._project_out(column.float())

    def next(self) -> int:
        """The next choice; below zero if there is none."""
        gain = (self._values.T @ self._residual).square() / self._left.clamp(min=1e-9)
        gain[(self._left < 1e-3 * self._norms) | (self._norms < 1e-3)] = -1.0
        at = int(gain.argmax())
        if float(gain[at]) <= 0:
            return -1
        self._project_out(self._values[:, at])
        return at

    def _project_out(self, column: Tensor) -> None:
        for _ in range(2):
            for unit in self._basis:
                column = column - unit * (unit @ column)
        norm = column.norm()
        if float(norm) < 1e-6:
            return
        unit = column / norm
        self._basis.append(unit)
        self._left = self._left - (self._values.T @ unit).square()
        self._residual = self._residual - unit * (unit @ self._residual)


def _factors(terms: Terms, quantities: Quantities, sides: Atoms) -> tuple[Terms, Atoms]:
    """Everything simple, and what it may be multiplied by: indicators, pairs of those found already [G 2]."""
    flat = terms.atoms[:, 0]
    bumps = flat[(flat.kind == BUMP) & torch.isfinite(flat.width)].and_also(sides)
    strong = _rows(bumps)[:8]
    involved = sorted({int(q) for q in flat.quantity} | {int(q) for q in sides.quantity})
    steps = [above(q, t / 10) for q in involved if q in quantities.shares for t in range(1, 10)]
    steps += [above(q, t) for q in involved if q in quantities.distances for t in (0.05, 0.1, 0.2, 0.4)]
    smooth = [row for row in _rows(flat) if row[1] in (ABSOLUTE, SQUARE)]
    gates = [(row, ONE) for row in [*strong, *steps, *smooth]]
    gates += [(one, two) for i, one in enumerate(strong) for two in strong[:i]]
    simple: list[tuple[int, int, float, float]] = [ONE]
    for q in quantities.shares:
        count = 9 if q in involved else 3
        simple += [(q, ABSOLUTE, t, 1.0) for t in torch.linspace(0, 1, count).tolist()]
    for q in quantities.distances:
        simple += [(q, ABSOLUTE, t, 1.0) for t in (0.0, 0.2, 0.4)]
    for q in (*quantities.actions, *quantities.speeds, *quantities.effort, *quantities.moves):
        simple.append((q, ABSOLUTE, 0.0, 1.0))
    simple += smooth
    plain = Terms.single(Atoms.of(simple)).and_also(terms[terms.change])
    factors = Atoms.of([row for gate in gates for row in gate])
    factors = Atoms(*(part.view(len(gates), 2) for part in vars(factors).values()))
    return plain, factors


def _rows(atoms: Atoms) -> list[tuple[int, int, float, float]]:
    """Atoms as rows, each once."""
    columns = (part.tolist() for part in (atoms.quantity, atoms.kind, atoms.at, atoms.width))
    return list(dict.fromkeys(zip(*columns, strict=True)))


def _least_squares(values: Tensor, y: Tensor, ridge: float = 1e-6) -> Tensor:
    a = torch.cat([values, values.new_ones(len(values), 1)], dim=1)  # values may have no columns
    gram = a.T @ a + ridge * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
    return torch.linalg.solve(gram, a.T @ y)


def _apply(values: Tensor, weights: Tensor) -> Tensor:
    return values @ weights[:-1] + weights[-1]
