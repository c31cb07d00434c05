"""What the agent works on in a recipe: steps just finished are guarded, and settled before they are left."""

from __future__ import annotations

import torch

from mbtransfer.evaluation.monitors import PATIENCE, RecipeExecutor
from mbtransfer.mpc.task_reward import TaskReward, TrueRewards
from tasks.recipe import parse_recipe
from tasks.registry import make
from tasks.task import Task

KITCHEN = make("kitchen")
RECIPE = parse_recipe("name: two\nsteps:\n  - tap_open\n  - drawer_open\n", KITCHEN)
NONE = [0.0, 0.0]


def pursuit(*chances: list[float]) -> RecipeExecutor:
    found = RecipeExecutor(RECIPE, NONE)
    for chance in chances:
        found.update(chance, NONE)
    return found


def test_a_step_that_is_surely_done_is_left_at_once() -> None:
    found = pursuit([0.95, 0.0], [0.95, 0.0])
    assert (found.at, found.guarded) == ((0,), ())  # it must hold for three control steps
    found.update([0.95, 0.0], NONE)
    assert (found.at, found.guarded) == ((1,), (0,))


def test_one_that_is_hardly_done_is_guarded_but_not_left_until_patience_ends() -> None:
    found = pursuit(*3 * [[0.6, 0.0]])
    for _ in range(PATIENCE):
        assert (found.at, found.guarded) == ((0,), (0,))
        found.update([0.6, 0.0], NONE)
    assert (found.at, found.guarded) == ((1,), (0,))


def test_one_that_may_be_undone_later_is_worked_on_as_long() -> None:
    first = "{task: tap_open, guard: false, hold: 1}"
    found = RecipeExecutor(parse_recipe(f"name: two\nsteps:\n  - {first}\n  - drawer_open\n", KITCHEN), NONE)
    for _ in range(PATIENCE + 1):
        assert (found.at, found.guarded) == ((0,), ())
        found.update([0.6, 0.0], NONE)
    assert found.at == (1,)


def test_after_the_last_step_the_agent_goes_on_until_it_is_stopped() -> None:
    found = pursuit(*3 * [[0.99, 0.0]], *5 * [[0.99, 0.99]])
    assert found.belief.finished
    assert (found.at, found.guarded) == ((1,), (0,))


def test_it_gives_up_once_no_step_is_left_and_nothing_settles() -> None:
    steps = "  - any_order:\n    - {task: tap_open, timeout: 1}\n    - {task: drawer_open, guard: false, hold: 1}\n"
    found = RecipeExecutor(parse_recipe(f"name: two\nsteps:\n{steps}", KITCHEN), [1.0, 0.0])
    found.update(NONE, NONE)
    assert found.belief.failed and not found.given_up and found.at == (1,)
    found.update([0.0, 0.6], NONE)
    assert found.belief.ended and not found.given_up and found.at == (1,), "not surely done yet"
    found.update([0.0, 0.95], NONE)
    assert found.given_up


def test_a_goal_works_out_a_task_only_where_it_counts() -> None:
    seen = []

    class Counted(Task):
        def reward(self, obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
            seen.append((self.name, next_obs.shape[-3]))
            return next_obs[..., 0]

    tasks = [Counted(name, "", "user") for name in ("tap_open", "drawer_open", "light_on")]
    active = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    obs = torch.zeros(5, 3 * 4, KITCHEN.spec.obs_size)
    TaskReward(TrueRewards(tasks), active)(obs, torch.zeros(5, 12, KITCHEN.spec.action_size), obs)
    assert seen == [("tap_open", 2), ("drawer_open", 1)]


def test_what_was_touched_is_mended_first_and_without_a_new_plan() -> None:
    found = pursuit(*4 * [[0.95, 0.0]])
    before = found.place
    found.update([0.2, 0.0], NONE)
    assert (found.at, found.place) == ((0,), before)
    found.update([0.95, 0.0], NONE)
    assert (found.at, found.place) == ((1,), before)
