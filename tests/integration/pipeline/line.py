"""Command lines that work or are refused, and folders that they must not harm; not a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbtransfer.cli.main import main

COMMAND = [sys.executable, "-m", "mbtransfer"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "MUJOCO_GL": "off"}
FIT = ("--epochs", "4", "--hidden", "16", "--members", "2", "--device", "cpu")
SEARCH = ("--horizon", "4", "--candidates", "16", "--iterations", "1", "--device", "cpu")


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, env=ENVIRONMENT, timeout=120
    )


def done(*argv: str | Path) -> str:
    """What a command says that works."""
    ended = run(*argv)
    assert ended.returncode == 0 and not ended.stderr, ended
    return ended.stdout


class Folder:
    """A folder whose content must stay as it is."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, self.content(path)

    @staticmethod
    def content(path: Path) -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}

    def unharmed(self) -> bool:
        return self.content(self.path) == self.before


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def refused(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    """The one line on standard error with which a command line ends that cannot be done."""
    capfd.readouterr()
    assert main([str(part) for part in argv]) == 2
    shown = capfd.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), shown.err
    return lines[0]


USES = {
    "evaluate": ("--tasks", "tap_open", "--workers", "1", "--episodes", "1"),
    "plan": ("--task", "tap_open"),
    "check": ("--task", "tap_open"),
    "adapt": ("--task", "tap_open", "--episodes", "1", "--out", "OUT"),
}


def using(command: str, folder: Path) -> list[str | Path]:
    rest = [folder / "out" if part == "OUT" else part for part in USES[command]]
    return [command, "--model", folder / "model", "--device", "cpu", *rest]
