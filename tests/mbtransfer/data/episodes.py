"""Small made-up episodes, and datasets filled with them; not a test."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mbtransfer.data import Dataset, Header
from mbtransfer.data.episode import Episode
from tasks.spec import Variable

OBS, ACT, STATE = 4, 2, 3
HEADER = Header(
    env="kitchen",
    observation=(
        *(Variable(f"joint_{i}", "rad", -1.0, 1.0) for i in range(OBS - 1)),
        Variable("force", "N", -np.inf, np.inf),
    ),
    action=tuple(Variable(f"motor_{i}", "m/s", -0.5, 0.5) for i in range(ACT)),
    state_size=STATE,
    control_dt=0.1,
)


def make_episode(seed: int, behaviour: str = "babble") -> Episode:
    random = np.random.default_rng(seed)
    steps = int(random.integers(2, 9))
    return Episode(
        obs=random.standard_normal((steps + 1, OBS)).astype(np.float32),
        actions=random.standard_normal((steps, ACT)).astype(np.float32),
        state=random.standard_normal((steps + 1, STATE)),
        behaviour=behaviour,
        seed=seed,
        terminated=seed % 2 == 0,
        truncated=seed % 2 == 1,
    )


def make_batch(unit: int, size: int = 3) -> list[Episode]:
    return [make_episode(unit * size + i) for i in range(size)]


def fill(path: Path, units: int = 4) -> Dataset:
    dataset = Dataset.open_or_create(path, HEADER)
    for unit in range(units):
        dataset.append(make_batch(unit), f"babble-{unit:06d}")
    return dataset


def assert_same(a: Episode, b: Episode) -> None:
    for field in dataclasses.fields(Episode):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype and left.shape == right.shape
            assert left.tobytes() == right.tobytes()
        else:
            assert left == right and type(left) is type(right)


def shard_files(path: Path, key: str = "") -> list[Path]:
    return sorted((path / "shards").glob(f"{key}*.safetensors"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])
