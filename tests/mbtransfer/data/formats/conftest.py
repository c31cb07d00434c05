"""Episodes to send out and back, and the one line with which a command refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset, Header
from mbtransfer.data.episode import Episode
from tasks.spec import Variable

OBS, ACT, STATE = 4, 2, 3
HEADER = Header(
    env="bench",
    observation=(
        *(Variable(f"joint_{i}", "rad", -1.0, 1.0) for i in range(3)),
        Variable("force", "N", -np.inf, np.inf),
    ),
    action=tuple(Variable(f"motor_{i}", "m/s", -0.5, 0.5) for i in range(ACT)),
    state_size=STATE,
    control_dt=0.1,
)


def make_episode(seed: int, rewards: bool = False, steps: int = 6) -> Episode:
    random = np.random.default_rng(abs(seed))
    return Episode(
        random.standard_normal((steps + 1, OBS)).astype(np.float32),
        random.standard_normal((steps, ACT)).astype(np.float32),
        random.standard_normal((steps + 1, STATE)),
        ("babble", "reach")[seed % 2],
        seed,
        terminated=seed % 3 == 0,
        truncated=seed % 3 == 1,
        rewards=random.standard_normal(steps) if rewards else None,
    )


@pytest.fixture
def pool(tmp_path: Path) -> Dataset:
    """Three units: without rewards, with them, and with seeds that fit no 64 bits."""
    dataset = Dataset.create(tmp_path / "pool", HEADER)
    dataset.append([make_episode(i) for i in range(3)], "babble-00000")
    dataset.append([make_episode(i, rewards=True) for i in range(3, 5)], "babble-00001")
    dataset.append([make_episode(seed) for seed in (2**70, -5)], "odd")
    return dataset


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused: the one line that it prints."""

    def run(*argv: object) -> str:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        assert code == 2, said
        lines = said.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: ") and not said.out, said
        return lines[0]

    return run


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed: what it prints."""

    def run(*argv: object) -> str:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        assert code == 0 and not said.err, said
        return said.out

    return run


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """Every file of a folder, by name."""
    return files_of
