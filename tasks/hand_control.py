"""Control of an arm by the position of its hand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.spec import Variable

HAND_ACTION = (
    *(Variable(f"hand_{axis}", "1", -1.0, 1.0) for axis in "xyz"),
    Variable("grip", "1", -1.0, 1.0),
)
"""What behaviours wish for: how fast the hand shall go along x, y and z, and whether it shall hold on (above 0)."""

REACH = 0.075
"""How near (m) to a handle a hand has to be to take hold, where an environment does not say otherwise."""


@dataclass(frozen=True)
class HandController:
    """How to bring the hand somewhere where no actions drive it along x, y and z, or its place is no joint's.

    Attributes:
        steer: actions [n A] that come nearest to the wishes [n 4], from states [n S].
        approach: the same states with the hand close to a random handle, from where something may happen;
            a new draw at each call.
        reach: how near (m) the hand has to be to a handle before it can take hold of it.
    """

    steer: Callable[[Float[ndarray, "n S"], Float[ndarray, "n 4"]], Float[ndarray, "n A"]]
    approach: Callable[[np.random.Generator, Float[ndarray, "n S"]], Float[ndarray, "n S"]]
    reach: float = REACH


def damped_least_squares(
    jacobian: Float[ndarray, "m J"], way: Float[ndarray, " m"], damping: float
) -> Float[ndarray, " J"]:
    """Change of the joints that takes the hand along `way`, short where the arm is stretched out.

    Wampler (1986), "Manipulator inverse kinematic solutions based on vector formulations and damped least-squares".
    """
    square = jacobian @ jacobian.T + damping**2 * np.eye(len(way))
    solved: ndarray = jacobian.T @ np.linalg.solve(square, way)
    return solved
