"""Distral on four points to reach: the ties, and against separate policies and one shared at equal data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig
from mbtransfer.transfer.method import Sources, parameters
from mbtransfer.transfer.policy.distral import Carried, Columns, Distral
from world_models.dynamics.rollout import Imagination

POINTS = [(x, 0.0, z) for x in (-0.4, 0.4) for z in (0.3, 0.8)]
LABELS = 300
METHOD = Distral(
    updates=60, target_updates=8, rows=6, training=PolicyTrainingConfig(horizon=4, discount=0.9, rows=6)
)


@pytest.fixture(scope="module")
def sources() -> Sources:
    """In this model the hand follows the action exactly."""
    from tests.mbtransfer.conftest import _drifting

    model = _drifting()
    return Sources(model, tuple(model.environment.reach(list(point)) for point in POINTS), LABELS, 0)


def distance(sources: Sources, acts: object, point: tuple[float, float, float]) -> float:
    """Mean distance of the hand to a point after twenty imagined steps."""
    obs, imagination = sources.model.pool.obs[:100], Imagination(sources.model.dynamics, 1)
    for _ in range(20):
        obs = imagination(obs, acts(obs)[:, None]).obs[-1, 0]  # type: ignore[operator]
    return float((obs[:, :3] - torch.tensor(point)).norm(dim=1).mean())


def mean_distance(carried: Carried, tasks: tuple[int | None, ...]) -> float:
    """The mean over the four points."""
    pairs = zip(tasks, POINTS, strict=True)
    return sum(distance(carried.sources, carried.policy(k), point) for k, point in pairs) / len(POINTS)


@pytest.mark.slow
def test_against_separate_and_one_shared_at_equal_data(sources: Sources) -> None:
    own = (0, 1, 2, 3)
    found = {ties: replace(METHOD, ties=ties).pretrain(sources) for ties in ("distral", "separate", "shared")}
    gaps = {ties: mean_distance(carried, own) for ties, carried in found.items()}
    assert gaps["distral"] < 0.6 * gaps["shared"], "one policy that is not told its task is nowhere"
    assert gaps["distral"] < 1.2 * gaps["separate"]
    distilled = mean_distance(found["distral"], (None,) * 4)
    assert gaps["distral"] < distilled, "the distilled policy does not know the task either"

    target = (0.35, 0.05, 0.7)
    task, weights = (
        sources.model.environment.reach(list(target)),
        [*map(torch.clone, found["distral"].actor.parameters())],
    )
    solution = METHOD.solve(found["distral"], task)
    assert all(map(torch.equal, weights, found["distral"].actor.parameters())), (
        "what is carried must not change"
    )
    assert (solution.costs.labels, solution.costs.steps, solution.costs.pool) == (LABELS * 5, 0, 1000)
    none = replace(METHOD, target_updates=0).solve(found["distral"], task)
    assert distance(sources, solution.acts, target) < distance(sources, none.acts, target)


def test_a_target_begins_with_the_distilled_policy(sources: Sources) -> None:
    method, obs = replace(METHOD, updates=3, target_updates=0), sources.model.pool.obs[:20]
    carried = method.pretrain(sources)
    solution = method.solve(carried, sources.model.environment.task("drawer_half"))
    assert torch.equal(solution.acts(obs), carried.policy(None)(obs))  # type: ignore[operator]
    plain = parameters(Columns(obs.shape[1], 4, 1, "separate"))
    assert solution.costs.parameters == 2 * plain


def test_the_tie_holds_policies_together(sources: Sources) -> None:
    def apart(kl: float) -> float:
        carried = replace(METHOD, updates=25, kl=kl).pretrain(sources)
        obs = sources.model.pool.obs[:100]
        middle = carried.policy(None)(obs)
        return float(torch.stack([(carried.policy(k)(obs) - middle).abs().mean() for k in range(4)]).mean())

    assert apart(1.0) < 0.5 * apart(0.001)


def test_rows_are_those_of_consecutive_tasks() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actor, obs = Columns(5, 2, 3, "separate"), torch.randn(4, 6, 5)
    found = actor(obs)
    for k in range(3):
        torch.testing.assert_close(
            found[:, 2 * k : 2 * k + 2], torch.tanh(actor.told(obs[:, 2 * k : 2 * k + 2], k))
        )


def test_mistakes_are_named_before_anything_is_trained(sources: Sources) -> None:
    with pytest.raises(UserError, match=r"no ties 'seperate'.*'separate'"):
        replace(METHOD, ties="seperate").pretrain(sources)
    with pytest.raises(UserError, match="at least one source task"):
        METHOD.pretrain(replace(sources, tasks=()))
    with pytest.raises(UserError, match="zero or more"):
        replace(METHOD, kl=-1.0).pretrain(sources)
    with pytest.raises(UserError, match="without noise"):
        replace(METHOD, training=PolicyTrainingConfig(noise=0.0)).pretrain(sources)
