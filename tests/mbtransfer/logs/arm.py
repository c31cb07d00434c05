"""A six-joint arm whose joints follow their targets, and what a recorder would log of it; not a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

JOINTS = ("pan", "lift", "elbow", "flex", "roll", "gripper")
RATE = 20.0
FOLLOWS = 0.3
"""Share of the way to its target that a joint goes in one control step."""

DECLARED = """\
control_step: 0.05
columns:
{columns}
actions:
{actions}
fixtures:
  jaw: {{position: gripper, target: {{grasp: 0.8, release: -0.8}}, tolerance: 0.1}}
"""


def declare(path: Path) -> Path:
    """The arm as a file for `--env file:`."""
    lines = "\n".join(f"  {joint}: {{unit: rad, low: -1.6, high: 1.6}}" for joint in JOINTS)
    path.write_text(DECLARED.format(columns=lines, actions=lines.replace(": {", "_target: {")))
    return path


@dataclass(frozen=True)
class Log:
    """One episode as it was recorded: rows of times (s), joints and targets (rad)."""

    times: ndarray
    joints: ndarray
    targets: ndarray


def record(episodes: int = 20, rows: int = 40, seed: int = 0, delay: int = 0) -> list[Log]:
    """Episodes in which the targets wander; what is asked takes effect `delay` rows later."""
    rng, logs = np.random.default_rng(seed), []
    for _ in range(episodes):
        joints = np.zeros((rows, 6))
        joints[0] = rng.uniform(-1, 1, 6)
        held = np.repeat(rng.uniform(-1.2, 1.2, (rows // 4 + 1, 6)), 4, axis=0)[:rows]
        targets = held + 0.1 * rng.standard_normal((rows, 6))
        for t in range(rows - 1):
            goal = targets[t - delay] if t >= delay else joints[t]
            joints[t + 1] = joints[t] + FOLLOWS * (goal - joints[t])
        logs.append(Log(np.arange(rows) / RATE, joints, targets))
    return logs
