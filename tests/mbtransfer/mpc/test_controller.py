"""Controllers: what they plan with where nothing is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mbtransfer.mpc.controller import simulator_controller
from tasks.registry import make

KITCHEN = make("kitchen")


@pytest.mark.parametrize(("control_dt", "steps"), [(0.15, 10), (0.1, 15), (0.08, 19), (0.02, 20), (0.5, 10)])
def test_the_horizon_follows_the_control_step(control_dt: float, steps: int) -> None:
    other = replace(KITCHEN, spec=replace(KITCHEN.spec, control_dt=control_dt))
    assert simulator_controller(other).settings == {"horizon": steps}
    assert simulator_controller(other, settings={"horizon": 3}).settings == {"horizon": 3}
