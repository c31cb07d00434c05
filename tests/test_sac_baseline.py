"""The check of soundness says inside only where the intervals meet."""

from __future__ import annotations

import gymnasium
import pytest
import torch

sac_baseline = pytest.importorskip("benchmarks.sac_baseline", reason="a wheel comes without benchmarks")


def test_it_says_inside_where_intervals_meet() -> None:
    published = sac_baseline.PUBLISHED
    near = [[published - 10.0, published], [published, published + 4.0], [published - 2.0, published + 2.0]]
    said = sac_baseline.verdict(near)
    assert said.endswith("inside") and "over 3 seeds" in said
    far = [[value + 100.0 for value in run] for run in near]
    assert sac_baseline.verdict(far).endswith("outside")
    assert "over 2 episodes of one seed" in sac_baseline.verdict(near[:1])


def test_returns_are_sums_of_rewards_of_whole_episodes() -> None:
    env = gymnasium.make(sac_baseline.ENV)
    found = sac_baseline.returns(env, lambda obs: torch.full((len(obs), 1), 0.5), 7, 2)
    obs, _ = env.reset(seed=8)
    expected = sum(float(env.step([0.5])[1]) for _ in range(200))
    assert len(found) == 2 and found[1] == pytest.approx(expected)
    assert -2000.0 < found[0] < -200.0, "a constant push does not hold it up"
