"""Combined tasks: finishing a part raises the reward, undoing one lowers it; limits and things that stay cost."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tasks.combinators import all_of, any_of, moves_of, slowly, then, while_keeping, without_moving
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.recipe import RecipeProgress
from tasks.task import Move, Task, reach

Transitions = tuple[Tensor, Tensor, Tensor]
TARGETS = {"drawer": 0.2, "tap": 0.4, "light_switch": 0.6}


@pytest.fixture
def parts(kitchen: Environment) -> list[Move]:
    return [kitchen.move(name, to) for name, to in TARGETS.items()]


def placed(obs: Tensor, part: Move, gap: float) -> Tensor:
    """The observations with the part's fixture so far from its target, as a share of its range."""
    moved = obs.clone()
    inwards = 1.0 if part.to < (part.fixture.low + part.fixture.high) / 2 else -1.0
    moved[..., part.fixture.position] = part.to + inwards * gap * part.fixture.span
    return moved


@pytest.mark.parametrize("done", range(3))
@pytest.mark.parametrize("make", [all_of, any_of], ids=["all of", "any of"])
def test_finishing_a_part_raises_the_reward(
    make: Callable[..., Task], done: int, parts: list[Move], transitions: Transitions
) -> None:
    task, (obs, action, next_obs) = make("task", parts), transitions
    for part in parts:
        next_obs = placed(next_obs, part, 0.3)
    for other in range(3):  # whatever is done already
        if other != done and make is all_of:
            before = task.reward(obs, action, placed(next_obs, parts[done], 0.11))
            assert (task.reward(obs, action, placed(next_obs, parts[done], 0.09)) > before).all()
            next_obs = placed(next_obs, parts[other], 0.05)
    assert (
        task.reward(obs, action, placed(next_obs, parts[done], 0.0)) > task.reward(obs, action, next_obs)
    ).all()


def test_the_hand_is_drawn_to_the_first_open_part(parts: list[Move], transitions: Transitions) -> None:
    task, (obs, action, next_obs) = all_of("task", parts), transitions
    for part in parts:
        next_obs = placed(next_obs, part, 0.3)
    for first in range(3):
        columns = list(parts[first].fixture.handle)
        near = next_obs.clone()
        near[..., columns] *= 0.5
        others = task.reward(obs, action, near) - task.reward(obs, action, next_obs)
        way = next_obs[..., columns].norm(dim=-1) / 2
        torch.testing.assert_close(others, way, atol=1e-4, rtol=1e-4)
        next_obs = placed(next_obs, parts[first], 0.0)


def test_success_and_starts(parts: list[Move], transitions: Transitions) -> None:
    obs = transitions[0]
    for part in parts:
        obs = placed(obs, part, 0.4)
    one = placed(obs, parts[0], 0.0)
    both = all_of("both", parts[:2])
    assert not both.success(one).any() and both.success(placed(one, parts[1], 0.0)).all()
    assert any_of("either", parts[:2]).success(one).all()
    kept = while_keeping("kept", parts[1], [parts[0]])
    assert kept.is_valid_start(one).all() and not kept.is_valid_start(obs).any()
    assert (
        kept.success(placed(one, parts[1], 0.0)).all() and not kept.success(placed(obs, parts[1], 0.0)).any()
    )
    assert moves_of(kept) == (parts[0], parts[1]) and {f.name for f in kept.fixtures} == {"drawer", "tap"}


def test_speed_beyond_the_limit_costs(kitchen: Environment, transitions: Transitions) -> None:
    drawer = kitchen.move("drawer", 0.2)
    task, (obs, action, next_obs) = slowly("slow", drawer, kitchen.spec, "drawer", 0.1), transitions
    at = drawer.fixture.velocity
    there = placed(next_obs, drawer, 0.0)
    there[..., at] = 0.05
    assert (
        torch.equal(task.reward(obs, action, there), drawer.reward(obs, action, there))
        and task.success(there).all()
    )
    there[..., at] = -0.3
    lost = drawer.reward(obs, action, there) - task.reward(obs, action, there)
    torch.testing.assert_close(lost, torch.full_like(lost, 2.0))
    assert not task.success(there).any()


def test_moving_what_is_to_stay_costs(kitchen: Environment, transitions: Transitions) -> None:
    tap = kitchen.move("tap", 0.4)
    task, (obs, action, _) = without_moving("gentle", tap, kitchen.spec, ["drawer"]), transitions
    assert torch.equal(task.reward(obs, action, obs), tap.reward(obs, action, obs))
    moved = obs.clone()
    moved[..., kitchen.spec.fixture("drawer").position] += 0.1 * kitchen.spec.fixture("drawer").span
    lost = task.reward(obs, action, obs) - task.reward(obs, action, moved)
    torch.testing.assert_close(lost, torch.full_like(lost, 2.0), atol=1e-4, rtol=1e-4)


def test_parts_may_be_combined_themselves(
    kitchen: Environment, parts: list[Move], transitions: Transitions
) -> None:
    task = all_of("task", [any_of("either", parts[:2]), parts[2], reach(kitchen.spec, "kettle_x")])
    assert task.reward(*transitions).isfinite().all() and len(moves_of(task)) == 3


def test_a_sequence_is_done_in_its_order_whatever_comes_undone(kitchen: Environment) -> None:
    opened, shut, lit = (
        kitchen.move("drawer", 0.2),
        kitchen.move("drawer", 0.0),
        kitchen.move("light_switch", 0.6),
    )
    for parts in ([opened, shut], [lit, opened]):
        progress = RecipeProgress(then("task", parts, kitchen.spec))
        for done in ([False, True], [True, False], [False, True]):
            for _ in range(3):  # as long as a step must hold
                assert not progress.ended
                progress.update(done)
        assert progress.finished


class Endless(Task):
    continuing = True


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda kitchen: then("none", [], kitchen.spec), "needs parts"),
        (
            lambda kitchen: then(
                "x",
                [reach(kitchen.spec, "tap"), replace(reach(kitchen.spec, "drawer"), name="reach(tap)")],
                kitchen.spec,
            ),
            "two different tasks called 'reach",
        ),
        (lambda kitchen: any_of("none", []), "needs parts"),
        (lambda kitchen: while_keeping("none", kitchen.move("tap", 0.1), []), "needs parts"),
        (lambda kitchen: slowly("x", kitchen.move("tap", 0.1), kitchen.spec, "tap", 0.0), "above zero"),
        (
            lambda kitchen: slowly("x", kitchen.move("tap", 0.1), kitchen.spec, "tab", 1.0),
            "did you mean 'tap'",
        ),
        (
            lambda kitchen: without_moving("x", kitchen.move("tap", 0.1), kitchen.spec, ["tap"]),
            "both move and stay",
        ),
        (
            lambda kitchen: without_moving("x", kitchen.move("tap", 0.1), kitchen.spec, []),
            "at least one fixture",
        ),
        (
            lambda kitchen: slowly("x", Endless("run", "", ""), kitchen.spec, "tap", 1.0),
            "run cannot be a part",
        ),
        (lambda kitchen: without_moving("x", Endless("run", "", ""), kitchen.spec, ["tap"]), "run cannot be"),
    ],
    ids=[
        "no step",
        "one name",
        "no part",
        "nothing to keep",
        "no speed",
        "no such fixture",
        "contradiction",
        "nothing stays",
        "slow without end",
        "still without end",
    ],
)
def test_what_makes_no_sense_is_one_line(
    make: Callable[[Environment], Task], words: str, kitchen: Environment
) -> None:
    with pytest.raises(TaskError, match=words) as raised:
        make(kitchen)
    assert "\n" not in str(raised.value)
