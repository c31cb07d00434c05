"""Tasks made of tasks: all or any of them, one after the other, one while others stay done, slowly, or without moving
other things.

The rewards of `all_of` and `while_keeping` are right by construction: finishing a part always raises the reward, and
undoing one lowers it, whatever the other parts' rewards are, as long as no part's reward varies by more than
`OPEN_COST`. They are sums of the parts' own rewards, so that learned heads of the parts serve for the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from tasks.errors import TaskError
from tasks.recipe.recipe import Group, Recipe, RecipeStep
from tasks.spec import EnvSpec, Fixture
from tasks.task import OPEN_COST, AllOf, Combined, Task, Variant, checked_parts
from tasks.task import all_of as all_of
from tasks.task import moves_of as moves_of

EXCESS_COST = 1.0
"""Cost of going twice as fast as allowed."""

MOVE_COST = 20.0
"""Cost of moving a thing that is to stay by its whole range."""


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
class Slowly(Variant):
    """A task in which a fixture must not move faster than a limit, and must be at most that fast at the end."""

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


@dataclass(frozen=True)
class WithoutMoving(Variant):
    """A task in which some fixtures must stay where they are. Success is that of the task alone."""

    still: tuple[Fixture, ...]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """That of the task, minus a cost of each share of a range by which a fixture is moved."""
        moved = next_obs - obs
        cost = sum(moved[..., fixture.position].abs() / fixture.span for fixture in self.still)
        return self.of.reward(obs, action, next_obs) - MOVE_COST * cost


def any_of(name: str, parts: Sequence[Task], *, split: str = "user") -> AnyOf:
    """The disjunction of several tasks.

    Raises:
        TaskError: no parts, or a part that has no end.
    """
    checked = checked_parts(name, parts)
    return AnyOf(name, " or ".join(part.description for part in checked), split, checked)


def while_keeping(name: str, task: Task, kept: Sequence[Task], *, split: str = "user") -> WhileKeeping:
    """A task that begins where everything in `kept` is done, and in which it must stay done.

    Raises:
        TaskError: nothing to keep, or a task that has no end.
    """
    held = checked_parts(name, kept)
    text = f"{task.description} and keep done: {', '.join(part.description for part in held)}"
    return WhileKeeping(name, text, split, (*held, *checked_parts(name, [task])))


def then(name: str, parts: Sequence[Task], spec: EnvSpec) -> Recipe:
    """Several tasks one after the other; what is done may come undone while the next ones are pursued.

    As a reward has no memory, this is a recipe: its steps are the parts, each with the time of an episode. To keep
    something done from there on, make the next parts with `while_keeping`.

    Raises:
        TaskError: no parts, a part that has no end, or two different parts of one name.
    """
    checked = checked_parts(name, parts)
    steps = tuple(RecipeStep(part, part.name, spec.episode_steps, guard=False) for part in checked)
    return Recipe(name, ", then ".join(part.description for part in checked), (Group(steps),))


def slowly(
    name: str, task: Task, spec: EnvSpec, fixture: str, speed: float, *, split: str = "user"
) -> Slowly:
    """A task during which a fixture moves at most at `speed` (its unit per second).

    Raises:
        TaskError: no such fixture, a speed that is not above zero, or a task that has no end.
    """
    checked_parts(name, [task])
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
        TaskError: no such fixture, none at all, one that the task itself moves, or a task that has no end.
    """
    checked_parts(name, [task])
    still = tuple(spec.fixture(fixture) for fixture in fixtures)
    both = {fixture.name for fixture in still} & {fixture.name for fixture in task.fixtures}
    if not still or both:
        what = f"{min(both)} cannot both move and stay" if both else "give at least one fixture that stays"
        raise TaskError(f"task {name!r}: {what}")
    text = f"{task.description} without moving {', '.join(fixtures)}"
    return WithoutMoving(name, text, split, task, still)
