"""Goals that the robot sets itself: any fixture to any place, wherever nobody asked for it."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, Fixture
from tasks.task import Move, move

_TRIES = 50


def draw_goals(
    spec: EnvSpec, obs: Float[ndarray, "B O"], locked: Sequence[str], rng: np.random.Generator
) -> list[Move]:
    """A goal for each start: a thing, one of its fixtures and a place in its range, far enough from where it is.

    All three are uniform: what has many joints, as a kettle does, is chosen as often as what has one.

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
    things = list(_by_handle(free).values())
    goals = []
    for start in torch.from_numpy(obs):
        for _ in range(_TRIES):
            parts = things[rng.integers(len(things))]
            fixture = parts[rng.integers(len(parts))]
            goal = move(spec, fixture.name, float(rng.uniform(fixture.low, fixture.high)))
            if bool(goal.fresh(start)):
                break
        goals.append(goal)
    return goals


def _by_handle(fixtures: Sequence[Fixture]) -> dict[tuple[int, int, int], list[Fixture]]:
    """The fixtures that move together, as they do which share a handle."""
    things: dict[tuple[int, int, int], list[Fixture]] = {}
    for fixture in fixtures:
        things.setdefault(fixture.handle, []).append(fixture)
    return things
