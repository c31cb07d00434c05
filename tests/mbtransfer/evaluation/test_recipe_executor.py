"""What the agent works on in a recipe: steps just finished are guarded, and settled before they are left."""

from __future__ import annotations

import torch

from mbtransfer.evaluation.monitors import RecipeScript
from mbtransfer.evaluation.recipe_executor import CLEAR, PATIENCE, RETREAT, RecipeExecutor
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
    found = pursuit(*(3 + RETREAT) * [[0.95, 0.0]])
    before = found.place
    found.update([0.2, 0.0], NONE)
    assert (found.at, found.place) == ((0,), before)
    found.update([0.95, 0.0], NONE)
    assert (found.at, found.place) == ((1,), before)


def test_the_hand_withdraws_from_what_is_done_before_it_goes_on() -> None:
    found = pursuit(*2 * [[0.95, 0.0]])
    assert found.leaving is None
    for _ in range(RETREAT):
        before = found.place
        found.update([0.95, 0.0], NONE)
        assert (found.at, found.leaving) == ((1,), 0)
    assert found.place == before
    found.update([0.95, 0.0], NONE)
    assert (found.at, found.leaving) == ((1,), None) and found.place != before


def test_what_is_lost_meanwhile_is_mended_first() -> None:
    found = pursuit(*3 * [[0.95, 0.0]], [0.2, 0.0])
    assert (found.at, found.leaving) == ((0,), None)


def test_withdrawing_pays_by_the_distance_from_the_handle_and_so_does_leaving_it_at_rest() -> None:
    script, spec = RecipeScript(RECIPE, TrueRewards, KITCHEN.spec.action_size), KITCHEN.spec
    tap = spec.fixture("tap")
    obs = torch.zeros(1, spec.obs_size)
    script.begin(obs)
    done = obs.clone()
    done[0, tap.position] = tap.high
    for _ in range(3):
        script.advance(done)
    ahead = done.repeat(4, 1)
    for row, way in enumerate((0.05, 0.1, 0.5, 0.1)):
        ahead[row, tap.handle[0]] = way
    ahead[3, tap.position] -= 0.05 * tap.span  # still open, but it was moved
    found = script.goal()(done.repeat(4, 1), torch.zeros(4, spec.action_size), ahead)
    torch.testing.assert_close(found[:3], torch.tensor([0.05, 0.1, CLEAR]))
    assert found[3] < found[0]
