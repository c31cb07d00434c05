"""Commands where a shell, a container or a scheduler has left them: each does its work, or says in one line why not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mbtransfer.data import Dataset

COMMAND = [sys.executable, "-m", "mbtransfer"]
COLLECT = ["collect", "--steps", "60", "--episode-steps", "20", "--workers", "2"]
LISTED = "Source tasks"

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these are conditions of POSIX shells")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Start a command line in an empty folder, with variables set (None: removed)."""

    def started(line: Sequence[str | Path], **variables: str | None) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in (os.environ | variables).items() if value is not None}
        return subprocess.run(
            list(map(str, line)), cwd=tmp_path, env=env, capture_output=True, text=True, errors="replace", check=False
        )  # fmt: skip

    return started


def in_shell(script: str, *words: str) -> list[str]:
    """A shell that runs `script`, in which `"$@"` is our command."""
    return ["sh", "-c", script, "sh", *COMMAND, *words]


def mounted(folder: str, options: str) -> list[str]:
    """What begins a command line that sees an empty file system on `folder`; skips where there can be none."""
    start = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o {options} tmpfs {folder} && exec "$@"',
        "sh",
    ]
    if (
        not shutil.which("unshare")
        or subprocess.run([*start, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    return start


def digest(folder: Path) -> str:
    return Dataset.open(folder).digest


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checksum of what `COLLECT` makes where nothing is in its way."""
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    subprocess.run([*COMMAND, *COLLECT, "--out", str(out)], check=True, capture_output=True)
    return digest(out)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ('"$@" >&-', 0, ""),
        ('"$@" 2>&- | cat', 0, LISTED),
        ('"$@" <&-', 0, LISTED),
        ('"$@" --env nope 2>&-', 2, ""),
        ('"$@" > /dev/full', 2, "No space left on device"),
        ('{ "$@"; echo "code $?" >&2; } | head -n 1', 0, "code 141"),
        ('mkdir gone && cd gone && rmdir ../gone && exec "$@"', 2, "current folder is no longer there"),
        ('"$@" --env "$(printf "bad\\377")"', 2, "is not UTF-8"),
    ],
    ids=["no output", "no errors", "no input", "errors nowhere", "full", "unread", "no folder", "no text"],
)
def test_streams_and_folders_of_a_shell(run: Run, script: str, code: int, words: str) -> None:
    if "/dev/full" in script and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = run(in_shell(script, "tasks"))
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert code != 2 or len(done.stderr.splitlines()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/nonexistent"},
        {"HOME": None},
        {"HOME": "/proc"},  # nobody can write there, root neither
        {"TMPDIR": "/nonexistent"},
        {"LANG": None, "LC_ALL": "C"},
        {"LANG": None, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONOPTIMIZE": "2"},
        {"TERM": None, "COLUMNS": "20"},
    ],
    ids=["no home", "home unset", "home read-only", "no TMPDIR", "C", "ASCII", "-OO", "no terminal"],
)
def test_variables_of_the_environment(
    run: Run, tmp_path: Path, expected: str, variables: dict[str, str | None]
) -> None:
    done = run([*COMMAND, *COLLECT, "--out", "data"], **variables)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert digest(tmp_path / "data") == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["with spaces", "データ", "дом é", "-dash", "quote'\"", "a\nb"])
def test_names_of_folders(run: Run, tmp_path: Path, expected: str, name: str) -> None:
    done = run([*COMMAND, *COLLECT, f"--out={name}"])
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert digest(tmp_path / name) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit", ["taskset -c 0", "sh -c 'ulimit -n 64; exec \"$@\"' sh"], ids=["one core", "few open files"]
)
def test_a_small_machine(run: Run, tmp_path: Path, expected: str, limit: str) -> None:
    if not shutil.which(limit.split()[0]):
        pytest.skip(f"there is no {limit.split()[0]}")
    done = run(in_shell(f'{limit} "$@"', *COLLECT, "--out", "data"))
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "data") == expected


@pytest.mark.slow
@pytest.mark.parametrize("options", ["size=1m", "size=1m,ro"])
def test_shared_memory_of_a_container(run: Run, tmp_path: Path, expected: str, options: str) -> None:
    done = run([*mounted("/dev/shm", options), *COMMAND, *COLLECT, "--out", "data"])
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "data") == expected


@pytest.mark.slow
def test_a_disk_that_is_full_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    line = [*mounted(str(tmp_path / "disk"), "size=8k"), *COMMAND, *COLLECT, "--out", "disk/data"]
    done = run(line)
    assert done.returncode == 2 and "No space left on device" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_start_methods_of_processes(run: Run, tmp_path: Path, expected: str, method: str) -> None:
    (tmp_path / "script.py").write_text(
        "import multiprocessing, sys\n"
        "from mbtransfer.cli.main import main\n"
        "if __name__ == '__main__':\n"
        f"    multiprocessing.set_start_method({method!r})\n"
        "    sys.exit(main(sys.argv[1:]))\n"
    )
    done = run([sys.executable, "script.py", *COLLECT, "--out", "data"])
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "data") == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_the_workers_too_and_loses_nothing(
    run: Run, tmp_path: Path, sign: signal.Signals, code: int
) -> None:
    line = [*COMMAND, "collect", "--steps", "12000", "--workers", "2", "--out"]
    process = subprocess.Popen(
        [*line, "data"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    while not list(tmp_path.glob("data/shards/*.safetensors")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(sign)
    _, told = process.communicate()
    assert process.returncode == code, told
    assert told.splitlines()[-1].startswith("interrupted; what was finished is kept")
    for _ in range(500):  # the workers' own end is a moment later
        if subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, check=False).returncode:
            break
        time.sleep(0.01)
    else:
        pytest.fail("a process is left")
    kept = {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    assert run([*line, "data"]).returncode == run([*line, "undisturbed"]).returncode == 0
    assert kept <= {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    assert digest(tmp_path / "data") == digest(tmp_path / "undisturbed")
