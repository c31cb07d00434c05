"""Goals that the robot sets itself: any fixture to any place, wherever nobody asked for it."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from tasks.spec import EnvSpec
from tasks.task import Move, move

_TRIES = 50


def draw_goals(
    spec: EnvSpec, obs: Float[ndarray, "B O"], locked: Sequence[str], rng: np.random.Generator
) -> list[Move]:
    """A goal for each start: a fixture and a place in its range, both uniform, far enough from where it is.

    Goal babbling (Baranes and Oudeyer 2013, "Active learning of inverse models with intrinsically motivated
    goal exploration in robots"), in the space of the fixtures and without their measure of progress.

    Args:
        spec: of the environment.
        obs: the starts.
        locked: fixtures that cannot be moved.
        rng: what draws.

    Raises:
        UserError: every fixture is locked.
    """
    free = [fixture for fixture in spec.fixtures if fixture.name not in locked]
    if not free:
        raise UserError("behaviour goals needs a fixture that is not locked")
    goals = []
    for start in torch.from_numpy(obs):
        for _ in range(_TRIES):
            fixture = free[rng.integers(len(free))]
            goal = move(spec, fixture.name, float(rng.uniform(fixture.low, fixture.high)))
            if bool(goal.fresh(start)):
                break
        goals.append(goal)
    return goals
