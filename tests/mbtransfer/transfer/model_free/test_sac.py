"""Soft actor-critic of Stable-Baselines3 as a transfer method, on a pushed point."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.model_free import stable_baselines
from mbtransfer.transfer.model_free.multitask_sac import MultitaskSAC
from mbtransfer.transfer.model_free.rl2 import RL2
from mbtransfer.transfer.model_free.sac import SoftActorCritic
from mbtransfer.transfer.model_free.stable_baselines import SACConfig, own_randomness
from tests.mbtransfer.transfer.point_world import CORNERS, arrived, go, point_model

EXTRA = importlib.util.find_spec("stable_baselines3") and importlib.util.find_spec("sb3_contrib")
needs_extra = pytest.mark.skipif(not EXTRA, reason="needs the extra transfer")

QUICK = SACConfig(rate=3e-3, batch=64, discount=0.8, follow=0.02, warm_up=100, width=32)
TARGET = go(0.4, -0.3, "held_out")


@pytest.fixture
def sources() -> Sources:
    return Sources(point_model(rows=100), CORNERS, 100, 0)


@pytest.mark.slow
@pytest.mark.slow
@needs_extra
def test_it_solves_a_pushed_point(sources: Sources) -> None:
    random_walk = SoftActorCritic(steps=1, training=QUICK).solve(sources, TARGET)
    assert arrived(sources.model, random_walk, TARGET) < 0.5
    method = SoftActorCritic(steps=600, training=QUICK)
    solution = method.solve(method.pretrain(sources), TARGET)
    assert arrived(sources.model, solution, TARGET) >= 0.9
    costs = solution.costs
    assert (costs.steps, costs.pool, costs.labels) == (600, 0, 0)
    assert costs.parameters == 2 * 32 + 32 + 32 * 32 + 32 + 2 * (32 * 2 + 2)


@needs_extra
def test_the_same_seed_gives_the_same(sources: Sources) -> None:
    method, obs = SoftActorCritic(steps=110, training=QUICK), sources.model.pool.obs[:5]
    a, b, c = (method.solve(replace(sources, seed=seed), TARGET).acts(obs) for seed in (0, 0, 1))  # type: ignore[operator]
    assert torch.equal(a, b) and not torch.equal(a, c)


@needs_extra
def test_actions_are_in_the_box(sources: Sources) -> None:
    spec = sources.model.environment.spec
    policy = SoftActorCritic(steps=1, training=QUICK).solve(sources, TARGET).acts
    actions = policy(1e6 * sources.model.pool.obs)  # type: ignore[operator]
    for column, variable in zip(actions.T, spec.action, strict=True):
        assert variable.low - 1e-6 <= float(column.min()) <= float(column.max()) <= variable.high + 1e-6


def test_the_global_generators_are_put_back() -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    with own_randomness():
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        torch.manual_seed(5)
        inside = draws()
    after = draws()
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    torch.set_rng_state(before[2])
    assert draws() == after != inside


def test_without_the_library_they_say_so_in_a_line(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stable_baselines, "find_spec", lambda name: None)
    for method in (SoftActorCritic(), MultitaskSAC(), RL2()):
        lacking = method.lacks(sources.model.environment)
        assert lacking == "stable_baselines3: pip install 'mbtransfer[transfer]'"
        with pytest.raises(UserError, match="this method needs stable_baselines3"):
            method.pretrain(sources)


def test_mistakes_are_named_when_a_method_is_made() -> None:
    with pytest.raises(UserError, match="steps must be at least 1, not 0"):
        SoftActorCritic(steps=0)
    with pytest.raises(UserError, match=r"no context 'onehot'.*one_hot"):
        MultitaskSAC(context="onehot")
    with pytest.raises(UserError, match="no context 'embedding'"):
        MultitaskSAC(context="embedding")
    with pytest.raises(UserError, match="steps and length must be at least 1"):
        RL2(length=0)
