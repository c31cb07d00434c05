"""Places that a body is asked to be at, found from labels.

Variable projection (Golub and Pereyra 1973): the point is searched, and for each point the weights are solved for.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from einops import einsum
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from torch import Tensor

from world_models.layout import Body, Layout

NEAR = 0.1
"""Distance (m) over which a reward that asks for nearness alone falls."""

SEARCHED = 1500
"""Labels that a place is searched with."""

STEPS = (0.2, 0.2, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025)
"""Steps (m) of the rough search."""

RADII, EDGE = tuple(i / 50 for i in range(2, 11)), 0.002
"""Distances (m) at which a reward may jump, and over which."""


@dataclass(frozen=True)
class Place:
    """A point in space (m), and the body whose distance to it matters."""

    body: Body
    point: tuple[float, ...]

    @property
    def name(self) -> str:
        """What the distance to it is called."""
        return f"distance of {self.body.name} to ({', '.join(f'{x:.3g}' for x in self.point)})"


def find_places(
    layout: Layout, obs: Float[Tensor, "N O"], reward: Float[Tensor, " N"], success: Bool[Tensor, " N"]
) -> tuple[Place, ...]:
    """For each body that moves in two or three dimensions: the place whose distance tells most about the reward.

    Args:
        layout: what the observations hold.
        obs: the states reached.
        reward: their reward labels, or what other terms leave of them.
        success: which of them are successes.
    """
    bodies = [body for body in (layout.hand, *layout.objects) if body and len(body.positions) in (2, 3)]
    some = slice(0, SEARCHED)
    return tuple(
        _place(body, obs[some, list(body.positions)], reward[some], success[some]) for body in bodies
    )


def _place(body: Body, p: Float[Tensor, "N D"], reward: Tensor, success: Tensor) -> Place:
    """A rough compass search from several starts, then Nelder and Mead's (1965) from the best."""
    p, y = p.double(), reward.double() - reward.double().mean()
    best = reward >= reward.quantile(0.98)
    at = torch.stack([p[rows].mean(dim=0) for rows in (success, best, ~success) if bool(rows.any())])
    around = torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=p.shape[1])), dtype=p.dtype)
    for step in STEPS:
        tried = at[:, None] + step * around
        gain = _explained(p, y, tried.flatten(0, 1), precise=False).view(tried.shape[:2])
        at = tried[torch.arange(len(at)), gain.argmax(dim=1)]
    first = at[_explained(p, y, at, precise=False).argmax()]

    def loss(point: np.ndarray) -> float:
        return -float(_explained(p, y, torch.from_numpy(point)[None], precise=True))

    simplex = torch.cat([first[None], first + STEPS[-1] * torch.eye(len(first))])
    found = minimize(
        loss, first.numpy(), method="Nelder-Mead", options={"initial_simplex": simplex.numpy(), "maxfev": 150}
    )
    return Place(body, tuple(found.x.tolist()))


def _explained(
    p: Float[Tensor, "N D"], y: Float[Tensor, " N"], at: Float[Tensor, "M D"], *, precise: bool
) -> Float[Tensor, " M"]:
    """How much of the squares of y a sum of functions of the distance to each point explains."""
    away = torch.cdist(at, p)
    basis = [away, torch.exp(-away / NEAR)]
    if precise:
        basis += [away.square(), *(torch.sigmoid((radius - away) / EDGE) for radius in RADII)]
    values = torch.stack(basis, dim=-1)
    values = values - values.mean(dim=1, keepdim=True)
    gram = einsum(values, values, "m n i, m n j -> m i j")
    gram.diagonal(dim1=1, dim2=2).add_(1e-9 * len(p))
    with_y = einsum(values, y, "m n i, n -> m i")
    return einsum(torch.linalg.solve(gram, with_y), with_y, "m i, m i -> m")
