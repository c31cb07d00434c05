from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

budgets = pytest.importorskip("benchmarks.planner_table.budgets", reason="a wheel comes without benchmarks")

from benchmarks.planner_table import dm_scene, table, worlds  # noqa: E402
from benchmarks.planner_table.measure import measure  # noqa: E402


@pytest.mark.parametrize("row", budgets.rows_for(True))
def test_every_planner_spends_its_budget_and_no_more(row: str) -> None:
    for budget in budgets.BUDGETS.values():
        spent = budgets.spent(*budgets.search_of(row, budget, horizon=3))
        assert 0.9 * budget <= spent <= budget


@pytest.mark.parametrize("name", dm_scene.SUITES)
def test_rewards_are_those_of_dm_control(name: str) -> None:
    suite = dm_scene.SUITES[name]
    theirs, environment = suite.load(seed=1), suite.environment()
    (task,), scene, rng = environment.tasks.values(), environment.make_scene(()), np.random.default_rng(0)
    theirs.reset()
    for _ in range(60):
        action = rng.uniform(-1, 1, theirs.action_spec().shape)
        wanted = theirs.step(action).reward
        obs = torch.from_numpy(scene.observe(dm_scene.state_of(theirs.physics)))
        assert task.reward(obs, torch.from_numpy(action).float(), obs).item() == pytest.approx(
            wanted, abs=1e-4
        )


@pytest.mark.parametrize("name", dm_scene.SUITES)
def test_a_decision_is_a_few_steps_of_dm_control(name: str) -> None:
    suite = dm_scene.SUITES[name]
    theirs, scene = suite.load(seed=2), suite.environment().make_scene(())
    theirs.reset()
    start = dm_scene.state_of(theirs.physics)
    action = np.full(theirs.action_spec().shape, 0.5)
    for _ in range(suite.hold):
        theirs.step(action)
    after = scene.rollout(start[None], action[None, None].astype(np.float32))[0, 0]
    np.testing.assert_allclose(after, dm_scene.state_of(theirs.physics), atol=1e-6)


def test_what_is_known_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.planner_table.measure.BUDGETS", {"small": 4})
    monkeypatch.setattr("benchmarks.planner_table.measure.SECONDS", 0.0)
    monkeypatch.setattr("benchmarks.planner_table.measure.rows_for", lambda _: ["mppi"])
    monkeypatch.setitem(worlds.SUITES, "cartpole", replace(worlds.SUITES["cartpole"], steps=8, horizon=2))
    world, found = worlds.dm_control("cartpole", 1, (0,)), {"worlds": {}, "cells": {}}
    measure(world, found)
    cell = found["cells"]["cartpole/mppi/small"]
    cell["returns"], cell["plan_ms"] = [1.0], {"p50": 2.0, "p99": 3.0}
    measure(world, found)
    assert "| small | mppi | 4 | 1 | 1, 1 | 2.0 | 3.0 |" in table.as_markdown(found)
    measure(replace(world, episodes=2), found)
    assert len(found["cells"]["cartpole/mppi/small"]["returns"]) == 2
