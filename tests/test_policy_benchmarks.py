"""The parts of `benchmarks.blocked_way` and `benchmarks.goal_distance` that decide what their numbers mean."""

from __future__ import annotations

import pytest
import torch

blocked_way = pytest.importorskip("benchmarks.blocked_way", reason="a wheel comes without benchmarks")
goal_distance = pytest.importorskip("benchmarks.goal_distance")

from mbtransfer.mpc.task_policy import Actor  # noqa: E402
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig  # noqa: E402
from mbtransfer.transfer.method import Sources  # noqa: E402
from mbtransfer.transfer.policy.goal_policy import GoalPolicy  # noqa: E402


class Around(Actor):
    """Goes around the wall: those that begin above the middle above it, the others below."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        side = torch.where(obs[..., 1] >= 0, 1.0, -1.0)
        to = torch.where(obs[..., 0] < 0.25, side * 0.6, 0.0)
        up = ((to - obs[..., 1]) / blocked_way.STEP).clamp(-1.0, 1.0)
        waits = (obs[..., 0] < -0.3) & ((obs[..., 1] - to).abs() > 0.1)
        right = ((0.8 - obs[..., 0]) / blocked_way.STEP).clamp(-1.0, 1.0)
        return torch.stack([torch.where(waits, 0.0, right), up], dim=-1)


def test_a_closed_way_leaves_the_share_of_the_other() -> None:
    wall, actor = blocked_way.Wall(), Around()
    success, above = blocked_way.played(actor, wall, seed=0)
    assert bool(success.all()) and 0.3 < float(above.float().mean()) < 0.7
    for closes_above in (True, False):
        left, _ = blocked_way.played(actor, wall.closed(closes_above), seed=0)
        assert torch.equal(left, above != closes_above)


def test_walls_cost_reward() -> None:
    wall = blocked_way.Wall()
    points = torch.tensor([[0.0, 0.0], [0.0, 0.6], [0.0, -0.6]])
    inside, above, below = wall.reward(points, points, points).tolist()
    assert inside < 0.01 < 0.3 < above == pytest.approx(below)
    closed = wall.closed(above=True).reward(points, points, points)
    assert float(closed[1]) < 0.01 and float(closed[2]) == pytest.approx(below)


def test_the_table_has_a_line_for_each_policy() -> None:
    found = {"one": [{"before": 1.0, "other way": 0.0, "after": {0: 0.0, 10: share}} for share in (0.4, 0.6)]}
    assert blocked_way.as_markdown(found).splitlines()[2] == "| one | 1.00 | 0.00 | 0.00 | 0.50 |"


def test_goals_are_played_in_the_simulator() -> None:
    from tests.mbtransfer.conftest import _drifting

    method = GoalPolicy(updates=1, training=PolicyTrainingConfig(horizon=1, rows=2))
    carried = method.pretrain(Sources(_drifting(), (), 0, 0))
    state, goal = goal_distance.drawn(carried, 22, 0)
    gaps, idle, reached = goal_distance.played(carried, state, goal)
    assert gaps.shape == idle.shape == reached.shape == (22,)
    assert torch.equal(idle, gaps <= 0.1)
    wanted = goal[:, : carried.space.size].sum(dim=1)
    assert sorted(wanted.tolist()) == [1.0] * 20 + [3.0] * 2, "every group twice"
    text = goal_distance.as_markdown([(0.0, 0.5, 1.0)], [(0.0, 0.5, 0.2)])
    assert text.splitlines()[-1] == "| 0.00 to 0.50 | 1.00 | 0.20 |"
