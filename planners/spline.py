"""Splines: few knots make a smooth plan of many steps, and a smaller space to search.

For planning, Howell et al. (2022), "Predictive sampling", MuJoCo MPC, section 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def spline(steps: int, knots: int) -> Float[Tensor, "H K"]:
    """The matrix that takes K evenly spaced knots to H steps by cubic Hermite pieces (Catmull-Rom slopes).

    It goes through each knot, the first and last step among them; its rows sum to 1; with K = H it is the identity.
    """
    if knots == 1:
        return torch.ones(steps, 1)
    knot = torch.eye(knots)
    (slope,) = torch.gradient(knot, dim=0)
    place = torch.linspace(0, knots - 1, steps)
    left = place.floor().long().clamp(max=knots - 2)
    t = (place - left)[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * knot[left]
        + (t**3 - 2 * t**2 + t) * slope[left]
        + (3 * t**2 - 2 * t**3) * knot[left + 1]
        + (t**3 - t**2) * slope[left + 1]
    )
