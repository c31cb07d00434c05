"""A session in the kitchen, with a model whose physics are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.live.session import LiveSession
from mbtransfer.model import Model


@pytest.fixture
def context(drifting: Callable[..., Model]) -> EvalContext:
    """The hand follows the action exactly in this model, and each fixture opens where the hand is near."""
    model = drifting()
    settings: dict[str, Any] = {"candidates": 24, "iterations": 1, "horizon": 6, "precision": "float32"}
    config = EvalConfig(model="none", reward="true", prepared=False, device="cpu", **settings)
    return EvalContext(config, model.environment, model, (), config.make_controller(model.environment, model))


@pytest.fixture
def session(context: EvalContext) -> LiveSession:
    return LiveSession(context, seed=0)
