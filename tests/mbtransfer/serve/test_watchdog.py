"""Plans with something wrong never pass the watchdog, and plans with nothing wrong always do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.serve.watchdog import Fault, Proposal, Watchdog, watchdog_of
from tasks.registry import make

PLANTED = 10_000
DEADLINE, MOST = 0.05, 0.9
LOW, HIGH = np.float32([-1, -0.5, 0]), np.float32([1, 0.5, 2])
SAFE = np.float32([0.125, -0.25, 0.375])  # no plan's action by chance
KINDS = (Fault.LATE, Fault.NOT_FINITE, Fault.OUT_OF_BOUNDS, Fault.CONSTRAINT, Fault.DOUBT)


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(LOW, HIGH, SAFE, DEADLINE, MOST)


def sound(rng: np.random.Generator) -> tuple[Proposal, float]:
    steps = int(rng.integers(1, 20))
    plan = rng.uniform(LOW, HIGH, (steps, 3)).astype(np.float32).clip(LOW, HIGH)
    doubt = rng.uniform(0, MOST, steps).astype(np.float32)
    return Proposal(plan, doubt, float(rng.choice([0.0, -1.0]))), float(rng.uniform(0, DEADLINE))


def spoil(kind: Fault, proposal: Proposal, age: float, rng: np.random.Generator) -> tuple[Proposal, float]:
    """Spoil one thing, often by as little as a number can change."""
    plan, nan = proposal.plan.copy(), float("nan")
    step, column = int(rng.integers(len(plan))), int(rng.integers(3))
    if kind is Fault.LATE:
        return proposal, float(rng.choice([np.nextafter(DEADLINE, 1), DEADLINE * 2, np.inf, nan]))
    if kind is Fault.NOT_FINITE:
        plan[step, column] = rng.choice([np.nan, np.inf, -np.inf])
        return replace(proposal, plan=plan), age
    if kind is Fault.OUT_OF_BOUNDS:
        over, under = np.nextafter(HIGH, np.float32(9)), np.nextafter(LOW, np.float32(-9))
        plan[step, column] = rng.choice([over[column], under[column], HIGH[column] * 1e6, -1e30])
        return replace(proposal, plan=plan), age
    if kind is Fault.CONSTRAINT:
        return replace(proposal, violation=float(rng.choice([5e-324, 1e-9, 3.0, np.inf, nan]))), age
    doubt = np.full(len(plan), rng.choice([MOST + 1e-6, 1.0, nan, np.inf]), np.float32)
    doubt[step] = rng.choice([doubt[step], nan])
    return replace(proposal, doubt=rng.choice(np.array([doubt, None], object))), age


def test_of_ten_thousand_bad_plans_none_passes(watchdog: Watchdog) -> None:
    rng = np.random.default_rng(0)
    found = dict.fromkeys(KINDS, 0)
    for number in range(PLANTED):
        kinds = [KINDS[number % len(KINDS)], *rng.choice(np.array(KINDS), rng.integers(3))]
        proposal, age = sound(rng)
        for kind in kinds:
            proposal, age = spoil(kind, proposal, age, rng)
        verdict = watchdog.judge(proposal, age)
        assert verdict.fault in kinds and verdict.why, (kinds, verdict)
        assert np.array_equal(verdict.action, SAFE)
        found[verdict.fault] += 1
    assert sum(found.values()) == PLANTED and min(found.values()) > PLANTED // 20


def test_of_ten_thousand_sound_plans_all_pass_unchanged(watchdog: Watchdog) -> None:
    rng = np.random.default_rng(1)
    for _ in range(PLANTED):
        proposal, age = sound(rng)
        verdict = watchdog.judge(proposal, age)
        assert verdict.fault is None and not verdict.why
        assert np.array_equal(verdict.action, proposal.plan[0])


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (3,)])
def test_a_plan_of_another_shape_does_not_pass(watchdog: Watchdog, shape: tuple[int, ...]) -> None:
    proposal = Proposal.__new__(Proposal)  # its shape is what the annotation would refuse
    object.__setattr__(proposal, "plan", np.zeros(shape, np.float32))
    verdict = watchdog.judge(proposal, 0.0)
    assert verdict.fault is Fault.FAILED and np.array_equal(verdict.action, SAFE)


def test_a_robot_without_bounds_gets_no_infinite_action() -> None:
    endless = Watchdog(np.float32([-np.inf]), np.float32([np.inf]), np.float32([0]), DEADLINE)
    for value, fault in ((1e38, None), (np.inf, Fault.NOT_FINITE), (-np.inf, Fault.NOT_FINITE)):
        assert endless.judge(Proposal(np.float32([[value]])), 0.0).fault is fault


def test_without_a_limit_any_doubt_passes() -> None:
    plan = np.zeros((2, 3), np.float32)
    assert Watchdog(LOW, HIGH, SAFE, DEADLINE).judge(Proposal(plan), 0.0).fault is None


def test_an_action_that_was_handed_out_is_the_robots_own(watchdog: Watchdog) -> None:
    watchdog.refuse(Fault.IDLE, "no goal").action[:] = 7
    assert np.array_equal(watchdog.safe, SAFE)


def test_a_watchdog_of_an_environment_holds_for_one_control_step() -> None:
    spec = make("kitchen").spec
    watchdog = watchdog_of(spec)
    assert watchdog.deadline == spec.control_dt and not watchdog.safe.any()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"safe": (1.0,)}, "the safe action has 1 values; the robot takes 4"),
        (
            {"safe": (0.0, 0.0, 0.0, 9.0)},
            r"\[0, 0, 0, 9\] is outside of the robot's bounds .*; give one with --safe",
        ),
        ({"safe": (0.0, 0.0, 0.0, float("nan"))}, "is outside of the robot's bounds"),
        ({"deadline": -0.01}, "cannot be due after -10 ms"),
        ({"deadline": float("nan")}, "cannot be due after nan ms"),
        ({"most_doubt": 1.5}, "must be from 0 to 1, not 1.5"),
    ],
)
def test_what_cannot_be_is_refused_at_once(settings: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line):
        watchdog_of(make("kitchen").spec, **settings)  # type: ignore[arg-type]
