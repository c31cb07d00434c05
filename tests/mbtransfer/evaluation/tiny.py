"""Evaluation with the true simulator, true rewards and a tiny search; not a test."""

from __future__ import annotations

import io

from mbtransfer.config import EvaluateConfig
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.runtime.terminal import Terminal
from tasks.registry import make

KITCHEN = make("kitchen")
SEARCH = {"horizon": 8, "candidates": 16, "iterations": 2}
SETUP = EvalConfig(dynamics="oracle", reward="true", horizon=8, candidates=16, iterations=2)
CONFIG = EvaluateConfig(
    dynamics="oracle", reward="true", tasks=("light_on",), episodes=2, workers=1, **SEARCH
)  # fmt: skip
TWO_STEPS = "name: two\nsteps: [light_on, light_off]\n"


def quiet() -> Terminal:
    return Terminal(file=io.StringIO(), width=100)
