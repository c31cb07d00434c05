"""The command line from outside: help at once, one line and an exit code when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mbtransfer
from mbtransfer.config import COMMANDS
from tests.mbtransfer.cli.line import ENVIRONMENT, refused, run


def test_help_comes_at_once_and_names_every_command() -> None:
    ended = run("--help")
    assert ended.returncode == 0 and not ended.stderr
    assert all(f"\n  {name} " in ended.stdout for name in COMMANDS)
    heavy = (
        "import sys, mbtransfer.cli.main; mbtransfer.cli.main.main(['--help']); "
        "print({'torch', 'mujoco', 'pandas'} & set(sys.modules))"
    )
    imported = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert imported.stdout.splitlines()[-1] == "set()"


def test_version() -> None:
    first, packages, machine, engine = run("--version").stdout.splitlines()
    assert first == f"mbtransfer {mbtransfer.__version__}"
    assert "torch 2." in packages and "mujoco 3." in packages and "cores" in machine
    assert engine.startswith("roll-outs in C: ")


def test_wrong_command_lines_end_with_code_2(tmp_path: Path) -> None:
    assert "did you mean 'collect'?" in refused("colect")
    assert "did you mean '--steps'?" in refused("collect", "--out", "x", "--step", "3")
    assert "either --task or --recipe" in refused("plan", "--model", "x")
    assert "--model must be given" in refused("evaluate", "--split", "source")
    assert "did you mean 'kitchen'?" in refused("tasks", "--env", "kitchn")
    assert "did you mean 'mppi'?" in refused("collect", "--out", tmp_path / "data", "--planner", "mpi")
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    assert "file" in refused("collect", "--out", tmp_path / "file", "--steps", "10")
    assert (tmp_path / "file").read_text() == "precious"
    assert "is a folder" in refused("tasks", "--json", tmp_path)
    assert "not a regular file" in refused("tasks", "--json", "/dev/null")


def test_an_unexpected_error_is_one_line_and_code_1() -> None:
    broken = (
        "import mbtransfer.cli.main as c; c.run_function = lambda name: 1 / 0; exit(c.main(['report', '.']))"
    )
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=ENVIRONMENT)
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert "ZeroDivisionError" in ended.stderr and "MBTRANSFER_DEBUG=1" in ended.stderr
    debug = ENVIRONMENT | {"MBTRANSFER_DEBUG": "1"}
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=debug)
    assert ended.returncode == 1 and "Traceback" in ended.stderr
