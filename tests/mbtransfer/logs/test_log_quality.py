from __future__ import annotations

import numpy as np
import pytest
from numpy import ndarray

from mbtransfer.data.log_quality import Delay, constant, delays, spikes, units
from tasks.spec import Variable

JOINTS = [Variable(f"q{i}", "rad", -1.6, 1.6) for i in range(2)]
TARGETS = [Variable(f"u{i}", "rad", -1.6, 1.6) for i in range(2)]


def logs(
    delay: int, *, follows: float = 0.3, smooth: float = 0.9, noise: float = 0.002
) -> list[tuple[ndarray, ndarray]]:
    """Joints that follow smoothly wandering targets, seen with noise."""
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        targets, joints = np.zeros((100, 2)), np.zeros((101, 2))
        for t in range(1, 100):
            targets[t] = smooth * targets[t - 1] + 0.2 * rng.standard_normal(2)
        for t in range(100):
            joints[t + 1] = joints[t] + follows * ((targets[t - delay] if t >= delay else 0.0) - joints[t])
        found.append((joints + noise * rng.standard_normal(joints.shape), targets))
    return found


@pytest.mark.parametrize("delay", [0, 1, 3, 8])
@pytest.mark.parametrize("smooth", [0.0, 0.9])
def test_a_delay_is_found(delay: int, smooth: float) -> None:
    found = delays(logs(delay, smooth=smooth), JOINTS, TARGETS)
    assert [(one.action, one.column, one.steps) for one in found] == [
        ("u0", "q0", delay),
        ("u1", "q1", delay),
    ]
    assert all(one.correlation > 0.3 for one in found)


def test_a_spike_does_not_hide_a_delay() -> None:
    episodes = logs(2)
    episodes[0][0][50, 0] = 40.0
    assert [(one.column, one.steps) for one in delays(episodes, JOINTS, TARGETS)] == [("q0", 2), ("q1", 2)]


def test_actions_that_move_nothing_have_no_delay() -> None:
    rng = np.random.default_rng(1)
    still = [(obs, rng.standard_normal(actions.shape)) for obs, actions in logs(0)]
    assert delays(still, JOINTS, TARGETS) == []
    assert delays([(obs, np.ones_like(actions)) for obs, actions in still], JOINTS, TARGETS) == []


def test_spikes_and_columns_at_rest_are_counted() -> None:
    episodes = logs(0)
    assert spikes([obs for obs, _ in episodes], JOINTS) == {} and constant(episodes, JOINTS, TARGETS) == []
    episodes[3][0][[20, 50], 1] += 9.0
    assert spikes([obs for obs, _ in episodes], JOINTS) == {"q1": 2}
    for obs, actions in episodes:
        obs[:, 0] = actions[:, 1] = 0.5
    assert constant(episodes, JOINTS, TARGETS) == ["q0", "u1"]


def test_degrees_are_told_from_radians() -> None:
    episodes = logs(1)
    found = delays(episodes, JOINTS, TARGETS)
    assert units(episodes, JOINTS, TARGETS, found) == []
    asked = [(obs, np.degrees(actions)) for obs, actions in episodes]
    lines = units(asked, JOINTS, TARGETS, delays(asked, JOINTS, TARGETS))
    assert any(line.startswith("u0 reaches") and line.endswith("is it in degrees?") for line in lines)
    assert any("u1 varies" in line and "q1: degrees for radians?" in line for line in lines)
    seen = [(np.degrees(obs), actions) for obs, actions in episodes]
    lines = units(seen, JOINTS, TARGETS, delays(seen, JOINTS, TARGETS))
    assert any("q0 varies" in line and "u0: degrees for radians?" in line for line in lines)
    seen.append((seen[0][0][:2], seen[0][1][:1]))  # an episode shorter than the delay
    assert units(seen, JOINTS, TARGETS, [Delay("u0", "q0", 8, 0.9)]) != []
    far = [Variable("x", "m", -1.0, 1.0)]
    (line,) = units([(1000 * obs[:, :1], actions) for obs, actions in episodes], far, TARGETS[:1])
    assert line.startswith("x reaches") and line.endswith("is it in millimetres?")
