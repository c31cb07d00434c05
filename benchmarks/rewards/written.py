"""Words for rewards of the kitchen, and tasks made of a reward and a success predicate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.spec import EnvSpec
from tasks.task import Task

Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
Success = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Written(Task):
    """A task of two functions."""

    of_transitions: Reward
    of_states: Success

    def reward(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """The reward function."""
        return self.of_transitions(obs, action, next_obs)

    def success(self, obs: Tensor) -> Tensor:
        """The success predicate."""
        return self.of_states(obs)


def task(name: str, reward: Reward, success: Success) -> Written:
    """A task of two functions."""
    return Written(name, name.replace("_", " "), "user", reward, success)


class Kitchen:
    """Quantities of observations of the kitchen [..., O], each of shape [...]."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec

    def reach(self, obs: Tensor, fixture: str) -> Tensor:
        """From the hand to the handle (m)."""
        return obs[..., list(self.spec.fixture(fixture).handle)].norm(dim=-1)

    def position(self, obs: Tensor, fixture: str) -> Tensor:
        """Of a fixture, in its unit."""
        return obs[..., self.spec.fixture(fixture).position]

    def speed(self, obs: Tensor, fixture: str) -> Tensor:
        """Of a fixture, in its unit per second."""
        return obs[..., self.spec.fixture(fixture).velocity].abs()

    def beyond(self, obs: Tensor, fixture: str, limit: float) -> Tensor:
        """Speed beyond a limit."""
        return (self.speed(obs, fixture) - limit).clamp(min=0.0)

    def way(self, obs: Tensor, fixture: str, to: float) -> Tensor:
        """To a position, in the fixture's unit."""
        return (self.position(obs, fixture) - to).abs()

    def gap(self, obs: Tensor, fixture: str, to: float) -> Tensor:
        """To a position, as a share of the fixture's range."""
        return self.way(obs, fixture, to) / self.spec.fixture(fixture).span

    def hand(self, obs: Tensor) -> Tensor:
        """Position of the hand (m), [..., 3]."""
        return obs[..., list(self.spec.hand)]

    def hand_speed(self, obs: Tensor) -> Tensor:
        """Of the hand (m/s)."""
        return obs[..., [self.spec.index(f"hand_{axis}_velocity") for axis in "xyz"]].norm(dim=-1)

    def high(self, axis: int) -> float:
        """Highest position of the hand along an axis (m)."""
        return self.spec.observation[self.spec.hand[axis]].high

    def middle(self, axis: int) -> float:
        """Middle of the hand's range along an axis (m)."""
        variable = self.spec.observation[self.spec.hand[axis]]
        return (variable.low + variable.high) / 2

    def kettle_way(self, obs: Tensor, x: float, y: float) -> Tensor:
        """From the kettle to a place on the stove (m)."""
        return torch.hypot(self.position(obs, "kettle_x") - x, self.position(obs, "kettle_y") - y)

    def near(self, fixture: str, to: float) -> Success:
        """Whether a fixture is within a tenth of its range from a position."""
        return lambda obs: self.gap(obs, fixture, to) < 0.1

    def all_near(self, targets: Sequence[tuple[str, float]]) -> Success:
        """Whether all fixtures are."""
        return lambda obs: torch.stack([self.near(*target)(obs) for target in targets]).all(dim=0)

    def first_open(self, obs: Tensor, targets: Sequence[tuple[str, float]], cost: float) -> Tensor:
        """Minus the way to the first open fixture's handle, minus all gaps, minus a cost for each open one."""
        reach = self.reach(obs, targets[-1][0])
        total = torch.zeros_like(reach)
        for name, to in reversed(targets):
            gap = self.gap(obs, name, to)
            reach = torch.where(gap < 0.1, reach, self.reach(obs, name))
            total = total - 3 * gap - cost * (gap >= 0.1)
        return total - reach
