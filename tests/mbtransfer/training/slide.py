"""A hand that slides where it is told, and a drawer that it pulls along with some gain; not a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbtransfer.data import Dataset, Header
from mbtransfer.data.episode import Episode
from tasks.environment import Environment
from tasks.registry import make

STEPS = 20
STEP = 0.03
"""Metres that the hand slides in a control step."""
NOISE = 0.0015

DECLARED = """\
control_step: 0.1
columns:
  x: {unit: m, low: -2, high: 2}
  y: {unit: m, low: -2, high: 2}
  z: {unit: m, low: -2, high: 2}
  drawer: {unit: m, low: -1, high: 1}
  drawer_speed: {unit: m/s, low: -2, high: 2}
  to_x: {unit: m, low: -4, high: 4}
  to_y: {unit: m, low: -4, high: 4}
  to_z: {unit: m, low: -4, high: 4}
actions:
  push_x: {unit: m/s, low: -1, high: 1}
  push_y: {unit: m/s, low: -1, high: 1}
  push_z: {unit: m/s, low: -1, high: 1}
hand: {position: [x, y, z], actions: [push_x, push_y, push_z]}
fixtures:
  drawer: {position: drawer, velocity: drawer_speed, handle: [to_x, to_y, to_z], target: {pull: 0.5}}
"""


def declare(path: Path) -> Environment:
    path.write_text(DECLARED)
    return make(f"file:{path}")


def play(seed: int, gain: float = 1.0) -> Episode:
    """An episode of random pushes; `gain` is how far the drawer goes along; its true place is the state."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (STEPS, 3))
    hand = rng.uniform(-0.5, 0.5, 3) + np.cumsum(np.vstack([np.zeros(3), STEP * actions]), axis=0)
    speed = np.concatenate([[0.0], gain * actions[:, 0]])
    drawer = hand[0, 0] + STEP * np.cumsum(speed)
    handle = np.column_stack([drawer, np.broadcast_to(hand[0, 1:], (STEPS + 1, 2))])
    obs = np.column_stack([hand, drawer, speed, handle - hand])
    obs += NOISE * rng.standard_normal(obs.shape)
    return Episode(
        obs.astype(np.float32),
        actions.astype(np.float32),
        drawer[:, None],
        "slide",
        seed,
        False,
        True,
    )


def record(environment: Environment, path: Path, seed: int, gain: float = 1.0, episodes: int = 60) -> Dataset:
    dataset = Dataset.create(path, Header.of(environment.spec, 1))
    dataset.append([play(1000 * seed + number, gain) for number in range(episodes)], "slide")
    return dataset
