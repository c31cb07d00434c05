"""The load test of `benchmarks/`, with a tiny model: nothing is lost, and what it tells adds up."""

from __future__ import annotations

import argparse
import asyncio
import os

import pytest

from mbtransfer.model import Model
from tests.mbtransfer.serve.running import TASK, Running

serve = pytest.importorskip("benchmarks.serve", reason="a wheel comes without benchmarks")


@pytest.mark.parametrize("simulated", [True, False])
def test_nothing_is_lost(running: Running, model: Model, simulated: bool) -> None:
    asked = argparse.Namespace(hz=100.0, seconds=0.1, simulated=simulated, task=TASK)
    obs = model.pool.obs.numpy()[:50]
    found = asyncio.run(serve.measure(running.address, os.getpid(), obs, 2, asked))
    assert found["sent"] == found["answered"] == 2 * (10 + serve.WARM_UP) and not found["safe"]
    trip, beside, decision = (found[f"{name}_ms"] for name in ("trip", "beside", "decision"))
    assert 0 < beside["p50"] < trip["p50"] and decision["p50"] < trip["p99"]
    line = serve.line_of(found)
    assert "2 robots: 40 of 40 answered" in line and "safe actions: none" in line


def test_answers_with_the_safe_action_are_counted() -> None:
    tally = serve.Tally()
    serve.note(tally, {"safe": True, "fault": "late", "decision_ms": None, "wait_ms": None}, 50.0)
    serve.note(tally, {"safe": False, "fault": None, "decision_ms": 3.0, "wait_ms": 2.0}, 6.0)
    assert tally.faults == {"late": 1} and tally.beside == [1.0] and tally.trip == [50.0, 6.0]
