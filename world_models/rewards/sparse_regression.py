"""Orthogonal least squares with forward selection and pruning.

Chen, Cowan and Grant (1991); after each choice every earlier one is chosen anew, as in forward selection
with replacement (Miller 2002, section 3.4). The number of atoms is settled on held-out labels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.rewards.basis import KNOTS, SHARP, Atoms

SEARCH_ROWS = 1500
"""Labels used to search for structure; the weights are then fitted on all of them."""

RECONSIDER = 6
"""Up to this many atoms earlier choices are reconsidered."""


def forward_selection(
    atoms: Atoms,
    x: Float[Tensor, "N Q"],
    y: Float[Tensor, " N"],
    most: int = 10,
    prior: Float[Tensor, "M M"] | Float[Tensor, " M"] | None = None,
) -> tuple[Atoms, Float[Tensor, " W"], float]:
    """Chosen atoms, their weights (the last weight is the constant's), and the error left on held-out labels.

    The error is the share of the labels' variance that stays unexplained.

    Args:
        atoms: what to choose from.
        x: the quantities of N labelled transitions.
        y: their labels.
        most: atoms at the most.
        prior: factor on each atom's gain: below one for those that should be chosen with reluctance.
    """
    x, y = x.double(), y.double()
    n = min(len(x), SEARCH_ROWS)
    cut = n - max(1, n // 5)
    values = atoms(x[:n], SHARP)
    search = _Search(values[:cut], y[:cut], torch.ones(values.shape[1]) if prior is None else prior)
    spread = y[:n].var().clamp(min=1e-12)
    best: list[int] = []
    best_error = float((y[cut:n] - y[:cut].mean()).square().mean() / spread)
    chosen: list[int] = []
    for _ in range(min(most, max(1, cut // 8))):
        chosen = search.reconsidered([*chosen, search.next(chosen)])
        weights = _least_squares(values[:cut, chosen], y[:cut])
        error = float((y[cut:n] - _apply(values[cut:n, chosen], weights)).square().mean() / spread)
        if error < 0.95 * best_error:
            best, best_error = list(chosen), error
        if error < 1e-6:
            break
    found = atoms[torch.tensor(best, dtype=torch.long)]
    if best:
        found = _refined(found, x[:n], y[:n])
    return found, _least_squares(found(x, SHARP), y).float(), best_error


class _Search:
    """Which atom lowers the squared error most, given those chosen already."""

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


def _refined(atoms: Atoms, x: Tensor, y: Tensor) -> Atoms:
    """Slide each atom by less than a knot to where the labels fit best."""
    for i in range(len(atoms.at)):
        shifts = torch.linspace(-1.0, 1.0, 11).double() / (KNOTS - 1)
        errors = []
        for shift in shifts:
            moved = _slid(atoms, i, float(shift))
            values = moved(x, SHARP)
            errors.append(float((y - _apply(values, _least_squares(values, y))).square().mean()))
        best = min(range(len(shifts)), key=lambda k: (errors[k], abs(float(shifts[k]))))
        if errors[best] < 0.9 * errors[len(shifts) // 2]:
            atoms = _slid(atoms, i, float(shifts[best]))
    return atoms


def _slid(atoms: Atoms, i: int, shift: float) -> Atoms:
    offset = torch.zeros_like(atoms.at)
    offset[i] = shift
    return atoms.moved(offset)


def _least_squares(values: Tensor, y: Tensor, ridge: float = 1e-6) -> Tensor:
    a = torch.cat([values, values.new_ones(len(values), 1)], dim=1)  # values may have no columns
    gram = a.T @ a + ridge * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
    return torch.linalg.solve(gram, a.T @ y)


def _apply(values: Tensor, weights: Tensor) -> Tensor:
    return values @ weights[:-1] + weights[-1]
