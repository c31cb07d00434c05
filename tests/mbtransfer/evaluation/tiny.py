"""Evaluation with the true simulator, true rewards and a tiny search; not a test."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from mbtransfer.config import EvaluateConfig
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.runtime.terminal import Terminal
from tasks.registry import make
from world_models.dynamics.kernels import Kernel
from world_models.dynamics.precision import Precision

KITCHEN = make("kitchen")
SEARCH = {"horizon": 8, "candidates": 16, "iterations": 2}
SETUP = EvalConfig(dynamics="oracle", reward="true", horizon=8, candidates=16, iterations=2)
CONFIG = EvaluateConfig(
    dynamics="oracle", reward="true", tasks=("light_on",), episodes=2, workers=1, **SEARCH
)  # fmt: skip
TWO_STEPS = "name: two\nsteps: [light_on, light_off]\n"


def quiet() -> Terminal:
    return Terminal(file=io.StringIO(), width=100)


def fastest_in(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which that precision is the fastest."""

    def fastest(kernels: Sequence[Kernel], *_: object) -> Kernel:
        return next((kernel for kernel in kernels if kernel.precision == precision), kernels[0])

    monkeypatch.setattr("world_models.dynamics.kernels.multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr("world_models.dynamics.rollout.fastest", fastest)
