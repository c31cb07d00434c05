"""Tasks: batched rewards and success predicates of observations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.errors import TaskError
from tasks.spec import EnvSpec, Fixture

TOLERANCE = 0.1
"""A fixture has arrived when it is within this share of its range from the target."""

REACH_TOLERANCE = 0.08
"""A point is reached within this distance (m): a finger and a handle cannot come closer than 0.05."""

FAR = 0.3
"""A fair episode starts at least this share of the range away from the target."""

OPEN_COST = 6.0
"""Cost of each part that is not done: more than the reward of a `Move` or `Reach` varies."""

OTHERS = 0.2
"""Most weight of each part beside the first open one; together they weigh less than it, so that the hand goes to one
handle and not between them."""


@dataclass(frozen=True)
class Task:
    """A named, immutable goal; subclass it, or write `reward` and `success` in a task file."""

    name: str
    description: str
    split: str

    privileged = False
    """Whether only the simulator's state tells its reward; see `tasks.privileged_task`."""

    @property
    def continuing(self) -> bool:
        """Whether there is nothing to fulfil, only reward to gather until time is up."""
        return False

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Shaped reward of each transition."""
        raise NotImplementedError(f"task {self.name!r} defines no reward")

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Whether each state fulfils the task."""
        raise NotImplementedError(f"task {self.name!r} defines no success")

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Whether an episode may start here: by default, wherever the task is not yet fulfilled."""
        return ~self.success(obs)

    def start_states(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"] | None:
        """Simulator states in which the task's episodes begin; None for the scene's, where `is_valid_start` holds."""
        return None

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The fixtures that the task moves, as far as it says so."""
        return ()


@dataclass(frozen=True)
class Move(Task):
    """Move one fixture to a target position by its handle."""

    fixture: Fixture
    to: float

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m), minus three times the way to go (share of range), plus 1 there."""
        reach = _length(next_obs, self.fixture.handle)
        return self.success(next_obs).to(reach) - reach - 3.0 * self._gap(next_obs)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `TOLERANCE` of the range from the target."""
        return self._gap(obs) <= TOLERANCE

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """At least `FAR` of the range away from the target."""
        return self._gap(obs) >= FAR

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The one fixture."""
        return (self.fixture,)

    def _gap(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        return (obs[..., self.fixture.position] - self.to).abs() / self.fixture.span


@dataclass(frozen=True)
class Reach(Task):
    """Bring the hand to a point, or to a handle wherever it is."""

    columns: tuple[int, int, int]
    point: tuple[float, float, float]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the distance (m), plus one there."""
        return self.success(next_obs).to(next_obs) - self._distance(next_obs)

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `REACH_TOLERANCE`."""
        return self._distance(obs) <= REACH_TOLERANCE

    def is_valid_start(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """At least three tolerances away."""
        return self._distance(obs) >= 3 * REACH_TOLERANCE

    def _distance(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        return (obs[..., list(self.columns)] - obs.new_tensor(self.point)).norm(dim=-1)


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
class Variant(Task):
    """Another task with something changed; what is not changed is that of the other."""

    of: Task

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """That of the task."""
        return self.of.reward(obs, action, next_obs)

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


@dataclass(frozen=True)
class AllOf(Combined):
    """Several goals that must hold at once, pursued in their order."""

    def combined_reward(
        self, reward: Float[Tensor, "*b n"], success: Float[Tensor, "*b n"]
    ) -> Float[Tensor, "*b"]:
        """That of the first open part, a little of the others', minus a cost for each part that is open."""
        is_open = success < 0.5
        first = is_open & (is_open.cumsum(dim=-1) == 1)
        weight = torch.where(first, 1.0, min(OTHERS, 1 / len(self.parts)))
        return (weight * reward).sum(dim=-1) - OPEN_COST * is_open.sum(dim=-1)

    def combined_success(self, success: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """Every part holds."""
        return success.amin(dim=-1)


def move(spec: EnvSpec, fixture: str, to: float, *, name: str = "", split: str = "user") -> Move:
    """The task of moving `fixture` to `to` (the fixture's unit).

    Raises:
        TaskError: no such fixture, or a target outside of its range.
    """
    found = spec.fixture(fixture)
    if isinstance(to, bool) or not isinstance(to, int | float) or not found.low <= to <= found.high:
        raise TaskError(
            f"{spec.name}: {fixture} cannot move to {to!r}; "
            f"its range is {found.low:g} to {found.high:g} {found.unit}"
        )
    text = f"move {fixture} to {to:g} {found.unit}"
    return Move(name or f"move({fixture}, {to:g})", text, split, found, float(to))


def reach(spec: EnvSpec, target: str | Sequence[float], *, split: str = "user") -> Reach:
    """The task of bringing the hand to a point `(x, y, z)` in metres, or to a fixture's handle.

    Raises:
        TaskError: no such fixture, not three numbers, or a point outside of the workspace.
    """
    if isinstance(target, str):
        columns = spec.fixture(target).handle
        return Reach(f"reach({target})", f"touch the handle of {target}", split, columns, (0.0, 0.0, 0.0))
    if len(spec.hand) != 3:
        raise TaskError(f"{spec.name} has no hand that could reach {target!r}")
    point = tuple(target)
    if len(point) != 3 or not all(isinstance(x, int | float) and math.isfinite(x) for x in point):
        raise TaskError(f"{spec.name}: reach needs a fixture or three numbers in metres, not {target!r}")
    for column, value in zip(spec.hand, point, strict=True):
        axis = spec.observation[column]
        if not axis.low <= value <= axis.high:
            raise TaskError(
                f"{spec.name}: the hand cannot reach {axis.name} {value:g}; "
                f"its range is {axis.low:g} to {axis.high:g} m"
            )
    x, y, z = (float(value) for value in point)
    name = f"reach({x:g}, {y:g}, {z:g})"
    return Reach(
        name,
        f"bring the hand to ({x:g}, {y:g}, {z:g}) m",
        split,
        (spec.hand[0], spec.hand[1], spec.hand[2]),
        (x, y, z),
    )


def all_of(name: str, parts: Sequence[Task], *, split: str = "user") -> AllOf:
    """The conjunction of several tasks.

    Raises:
        TaskError: no parts, a part that has no end, or two moves of one fixture.
    """
    checked = checked_parts(name, parts)
    moved = [part.fixture.name for part in checked if isinstance(part, Move)]
    if len(set(moved)) < len(moved):
        raise TaskError(f"task {name!r}: a conjunction needs parts that move different fixtures, got {moved}")
    return AllOf(name, " and ".join(part.description for part in checked), split, checked)


def simple_parts(task: Task) -> list[Task]:
    """The tasks that a combined task is made of, from the first to the last; any other task itself."""
    return (
        [leaf for part in task.parts for leaf in simple_parts(part)] if isinstance(task, Combined) else [task]
    )


def parts_of(task: Task) -> tuple[Task, ...]:
    """The tasks that a task is directly made of; none for a simple one."""
    if isinstance(task, Combined):
        return task.parts
    return (task.of,) if isinstance(task, Variant) else ()


def moves_of(task: Task) -> tuple[Move, ...]:
    """The `Move` tasks that a task consists of; none for other kinds of tasks."""
    if isinstance(task, Move):
        return (task,)
    return tuple(move for part in parts_of(task) for move in moves_of(part))


def checked_parts(name: str, parts: Sequence[Task]) -> tuple[Task, ...]:
    """Refuse what cannot be a part of a combined task.

    Raises:
        TaskError: no parts, or one that is no task, has no end or is judged by the simulator's state.
    """
    if not parts:
        raise TaskError(f"task {name!r}: it needs parts; none are given")
    for part in parts:
        if not isinstance(part, Task):
            raise TaskError(
                f"task {name!r}: {getattr(part, 'name', part)!r} is a {type(part).__name__}, not a task, "
                "and cannot be a part"
            )
        if part.continuing or part.privileged:
            raise TaskError(
                f"task {name!r}: {part.name} cannot be a part; parts need a success that observations show"
            )
    return tuple(parts)


def _length(obs: Float[Tensor, "*b O"], columns: tuple[int, int, int]) -> Float[Tensor, "*b"]:
    return obs[..., list(columns)].norm(dim=-1)


@dataclass(frozen=True)
class Approach(Variant):
    """The task `of` judged as ever, rewarded for the nearness of hand and handle alone.

    What a planner reaches with this it reaches by bumping into things; only success beyond it says that
    a model knows how the thing moves.
    """

    handle: tuple[int, int, int]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m)."""
        return -next_obs[..., list(self.handle)].norm(dim=-1)


def approaches(tasks: Sequence[Task]) -> list[Task]:
    """The control of each task.

    Raises:
        TaskError: a task that moves no fixture, so that there is no handle to go to.
    """
    for task in tasks:
        if not task.fixtures:
            raise TaskError(f"task {task.name} moves no fixture: there is no handle to be near to")
    return [
        Approach(task.name, task.description, task.split, task, task.fixtures[0].handle) for task in tasks
    ]
