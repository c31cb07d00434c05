"""Ends each command at every write, rename, fsync and unlink: `python -m benchmarks.crash_points [--points 10]`.

Each command runs once undisturbed, which counts its operations on files. Then, for each of them, it begins from
nothing, ends abruptly there (a write is torn in half), and is given again: what it leaves must be what the undisturbed
run left, with no temporary file beside it. The undisturbed run must also have flushed each file before its renaming,
and the folder after it. A shim in C does it (`shim.c`), so it needs Linux and a C compiler. One thread, CPU.
"""

import argparse
import ctypes
import faulthandler
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

import mbtransfer
from benchmarks.crash_points.commands import Command, commands, make_inputs
from mbtransfer.errors import UserError
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from tasks.registry import make
from world_models.checkpoint.atomic import PREFIX

SHIM = "MBTRANSFER_CRASH_SHIM"
ENDED = 137

SECONDS = 120.0
"""A run that takes longer hangs: it is ended, and says where."""


def main() -> int:
    """End, go on, compare; 0 if nothing was ever lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash_points", description=__doc__)
    parser.add_argument("--points", type=int, help="points of each command, spread evenly (all)")
    parser.add_argument("--commands", nargs="*", help="which of them (all)")
    asked, console, wrong = parser.parse_args(), Terminal(), 0
    if SHIM not in os.environ:
        return with_shim(sys.argv[1:])
    warm()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        done, told = forked(lambda: make_inputs(home), home / "inputs.log")
        if done:
            raise SystemExit(f"the inputs could not be made: {told}")
        for command in commands(home):
            if not asked.commands or command.name in asked.commands:
                problems, points = examine(command, home, asked.points, console)
                console.print(f"{command.name}: {points} points, {len(problems)} with another outcome")
                for problem in problems:
                    console.print(f"  {problem}")
                wrong += len(problems)
    return int(wrong > 0)


def with_shim(arguments: list[str]) -> int:
    """Run this program again with the shim loaded."""
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "shim.so"
        source = Path(__file__).with_name("shim.c")
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"], check=True
        )
        env = os.environ | {
            SHIM: str(shim), "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled",
        }  # fmt: skip
        line = [sys.executable, "-m", "benchmarks.crash_points", *arguments]
        return subprocess.run(line, env=env, check=False).returncode


def warm() -> None:
    """Import and build what every copy of this process needs, once."""
    for module in pkgutil.walk_packages(mbtransfer.__path__, "mbtransfer."):
        with suppress(ImportError, UserError):  # extras
            importlib.import_module(module.name)
    make("kitchen")


def examine(command: Command, home: Path, most: int | None, console: Terminal) -> tuple[list[str], int]:
    """What went wrong, and at how many points it was tried."""
    log, out = home / "operations.log", home / "out"
    whole, expected = started(command, out, 0, log)
    if whole:
        raise SystemExit(f"{command.name} ended with {whole}: {expected}")
    operations = log.read_text(errors="replace").splitlines()
    problems = [
        f"not flushed: {path}" for path in unflushed(operations) if not command.may_be_lost(Path(path))
    ]
    points = range(1, len(operations) + 1)
    if most is not None and most < len(points):
        points = np.unique(np.linspace(1, len(operations), most).round().astype(int)).tolist()
    with progress_bar(console, command.name, len(points), "points") as advance:
        for point in points:
            killed, told = started(command, out, point, log)
            where = f"point {point} ({operations[point - 1].replace(str(home), '')})"
            if killed not in (0, ENDED):
                problems.append(f"{where}: ended with {killed}: {told}")
            again, found = continued(command, out)
            left = [str(path) for path in out.rglob(f"{PREFIX}*")]
            if again or found != expected:
                problems.append(f"{where}: {found if again else 'another outcome'}")
            elif left:
                problems.append(f"{where}: left {', '.join(left)}")
            advance(1)
    return problems, len(points)


def started(command: Command, out: Path, point: int, log: Path) -> tuple[int, str]:
    """Run from nothing, and end at an operation (0: at none)."""
    shutil.rmtree(out, ignore_errors=True)
    command.begin(out)

    def run() -> str:
        to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        arm(out, point, to)
        told = command.run(out)
        disarm()
        return told

    return forked(run, out.with_name("first.log"))


def continued(command: Command, out: Path) -> tuple[int, str]:
    """Give the command again."""
    return forked(lambda: command.run(out), out.with_name("again.log"))


def arm(folder: Path, point: int, log: int) -> None:
    """Let the shim count what happens below a folder."""
    shim = ctypes.CDLL(os.environ[SHIM])
    shim.arm(str(folder).encode(), ctypes.c_long(point), log)


def disarm() -> None:
    """Let it count no more."""
    ctypes.CDLL(os.environ[SHIM]).arm(b"/nowhere", ctypes.c_long(0), -1)


def forked(work: Callable[[], str], output: Path) -> tuple[int, str]:
    """Do work in a copy of this process: its exit code, and what it returned or the last line that it printed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(to, 1), os.dup2(to, 2)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            os.write(writing, work().encode())
            code = 0
        except SystemExit as error:
            print(error)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lines = output.read_text(errors="replace").splitlines()
    return code, told if not code else (lines or [""])[-1]


def unflushed(operations: Iterable[str]) -> list[str]:
    """Files whose last bytes, and folders whose last renaming, a loss of power could undo."""
    dirty: dict[str, None] = {}
    lost: list[str] = []
    for line in operations:
        what, path, other = line.split("\t")
        if what in ("write", "truncate"):
            dirty[path] = None
        elif what == "fsync" or what == "unlink":
            dirty.pop(path, None)
        elif what == "rename":
            if path in dirty:
                lost.append(other)
            dirty[os.path.dirname(other)] = None
    return lost + list(dirty)


if __name__ == "__main__":
    raise SystemExit(main())
