"""Tasks made of tasks: all of them, any of them, one while another stays done, slowly, without moving other things.

The rewards of `all_of` and `while_keeping` are right by construction: finishing a part always raises the reward, and
undoing one lowers it, whatever the other parts' rewards are, as long as no part's reward varies by more than
`OPEN_COST`. They are sums of the parts' own rewards, so that learned heads of the parts serve for the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.errors import TaskError
from tasks.spec import EnvSpec, Fixture
from tasks.task import Move, Task

OPEN_COST = 6.0
"""Cost of each part that is not done: more than the reward of a `Move` or `Reach` varies."""

OTHERS = 0.2
"""Weight of the parts beside the first open one: below 1 / (parts - 1), so that the hand goes to one handle and not
between them."""

EXCESS_COST = 1.0
"""Cost of going twice as fast as allowed."""

MOVE_COST = 20.0
"""Cost of moving a thing that is to stay by its whole range."""


@dataclass(frozen=True)
class Combined(Task):
    """A task whose reward and success follow from those of its parts."""

    parts: tuple[Task, ...]

    def combined_reward(
        self, reward: Float[Tensor, "*b n"], success: Float[Tensor, "*b n"]
    ) -> Float[Tensor, "*b"]:
        """The reward, given the parts' rewards and successes (as probabilities) in the state reached."""
        raise NotImplementedError

    def combined_success(self, success: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """The probability of success, given the parts'."""
        raise NotImplementedError

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """See `combined_reward`."""
        rewards = torch.stack([part.reward(obs, action, next_obs) for part in self.parts], dim=-1)
        return self.combined_reward(rewards, self._successes(next_obs).to(rewards))

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """See `combined_success`."""
        return self.combined_success(self._successes(obs).to(obs)) > 0.5

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Every part is far from done."""
        return torch.stack([part.is_valid_start(obs) for part in self.parts]).all(dim=0)

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The fixtures of all parts."""
        return tuple(fixture for part in self.parts for fixture in part.fixtures)

    def _successes(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b n"]:
        return torch.stack([part.success(obs) for part in self.parts], dim=-1)


@dataclass(frozen=True)
class AllOf(Combined):
    """Several goals that must hold at once, pursued in their order."""

    def combined_reward(
        self, reward: Float[Tensor, "*b n"], success: Float[Tensor, "*b n"]
    ) -> Float[Tensor, "*b"]:
        """That of the first open part, a little of the others', minus a cost for each part that is open."""
        is_open = success < 0.5
        first = is_open & (is_open.cumsum(dim=-1) == 1)
        weight = torch.where(first, 1.0, OTHERS)
        return (weight * reward).sum(dim=-1) - OPEN_COST * is_open.sum(dim=-1)

    def combined_success(self, success: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """Every part holds."""
        return success.amin(dim=-1)


@dataclass(frozen=True)
class WhileKeeping(AllOf):
    """The last part is to be done while the others, which hold at the start, stay done."""

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Everything to be kept holds, and the rest is far from done."""
        return self._successes(obs)[..., :-1].all(dim=-1) & self.parts[-1].is_valid_start(obs)


@dataclass(frozen=True)
class AnyOf(Combined):
    """One of several goals, whichever is best to pursue."""

    def combined_reward(
        self, reward: Float[Tensor, "*b n"], success: Float[Tensor, "*b n"]
    ) -> Float[Tensor, "*b"]:
        """The best of the parts' rewards; a part that is done is best."""
        return (reward + OPEN_COST * (success > 0.5)).amax(dim=-1)

    def combined_success(self, success: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """Some part holds."""
        return success.amax(dim=-1)


@dataclass(frozen=True)
class Slowly(Task):
    """A task in which a fixture must not move faster than a limit, and must be at most that fast at the end."""

    of: Task
    velocity: int
    limit: float

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """That of the task, minus the speed beyond the limit as a share of the limit."""
        excess = (next_obs[..., self.velocity].abs() / self.limit - 1.0).clamp(min=0.0)
        return self.of.reward(obs, action, next_obs) - EXCESS_COST * excess

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task, within the limit."""
        return self.of.success(obs) & (obs[..., self.velocity].abs() <= self.limit)

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task."""
        return self.of.is_valid_start(obs)

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Those of the task."""
        return self.of.fixtures


@dataclass(frozen=True)
class WithoutMoving(Task):
    """A task in which some fixtures must stay where they are. Success is that of the task alone."""

    of: Task
    still: tuple[Fixture, ...]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """That of the task, minus a cost of each share of a range by which a fixture is moved."""
        moved = next_obs - obs
        cost = sum(moved[..., fixture.position].abs() / fixture.span for fixture in self.still)
        return self.of.reward(obs, action, next_obs) - MOVE_COST * cost

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task."""
        return self.of.success(obs)

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """That of the task."""
        return self.of.is_valid_start(obs)

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Those of the task."""
        return self.of.fixtures


def all_of(name: str, parts: Sequence[Task], *, split: str = "user") -> AllOf:
    """The conjunction of several tasks.

    Raises:
        TaskError: no parts, a part that has no end, or two moves of one fixture.
    """
    checked = _checked(name, parts)
    moved = [part.fixture.name for part in checked if isinstance(part, Move)]
    if len(set(moved)) < len(moved):
        raise TaskError(f"task {name!r}: a conjunction needs parts that move different fixtures, got {moved}")
    return AllOf(name, " and ".join(part.description for part in checked), split, checked)


def any_of(name: str, parts: Sequence[Task], *, split: str = "user") -> AnyOf:
    """The disjunction of several tasks.

    Raises:
        TaskError: no parts, or a part that has no end.
    """
    checked = _checked(name, parts)
    return AnyOf(name, " or ".join(part.description for part in checked), split, checked)


def while_keeping(name: str, task: Task, kept: Sequence[Task], *, split: str = "user") -> WhileKeeping:
    """A task that begins where everything in `kept` is done, and in which it must stay done.

    Raises:
        TaskError: nothing to keep, or a task that has no end.
    """
    held = _checked(name, kept)
    text = f"{task.description} and keep done: {', '.join(part.description for part in held)}"
    return WhileKeeping(name, text, split, (*held, *_checked(name, [task])))


def slowly(
    name: str, task: Task, spec: EnvSpec, fixture: str, speed: float, *, split: str = "user"
) -> Slowly:
    """A task during which a fixture moves at most at `speed` (its unit per second).

    Raises:
        TaskError: no such fixture, or a speed that is not above zero.
    """
    found = spec.fixture(fixture)
    if not speed > 0:
        raise TaskError(f"task {name!r}: a speed must be above zero, not {speed}")
    text = f"{task.description}, {fixture} not faster than {speed:g} {found.unit}/s"
    return Slowly(name, text, split, task, found.velocity, float(speed))


def without_moving(
    name: str, task: Task, spec: EnvSpec, fixtures: Sequence[str], *, split: str = "user"
) -> WithoutMoving:
    """A task during which some fixtures stay where they are.

    Raises:
        TaskError: no such fixture, none at all, or one that the task itself moves.
    """
    still = tuple(spec.fixture(fixture) for fixture in fixtures)
    both = {fixture.name for fixture in still} & {fixture.name for fixture in task.fixtures}
    if not still or both:
        what = f"{min(both)} cannot both move and stay" if both else "give at least one fixture that stays"
        raise TaskError(f"task {name!r}: {what}")
    text = f"{task.description} without moving {', '.join(fixtures)}"
    return WithoutMoving(name, text, split, task, still)


def simple_parts(task: Task) -> list[Task]:
    """The tasks that a combined task is made of, from the first to the last; any other task itself."""
    return (
        [leaf for part in task.parts for leaf in simple_parts(part)] if isinstance(task, Combined) else [task]
    )


def moves_of(task: Task) -> tuple[Move, ...]:
    """The `Move` tasks that a task consists of; none for other kinds of tasks."""
    if isinstance(task, Combined):
        return tuple(move for part in task.parts for move in moves_of(part))
    if isinstance(task, Slowly | WithoutMoving):
        return moves_of(task.of)
    return (task,) if isinstance(task, Move) else ()


def _checked(name: str, parts: Sequence[Task]) -> tuple[Task, ...]:
    if not parts:
        raise TaskError(f"task {name!r}: a conjunction needs parts; none are given")
    for part in parts:
        if part.continuing or part.privileged:
            raise TaskError(
                f"task {name!r}: {part.name} cannot be a part; parts need a success that observations show"
            )
    return tuple(parts)
