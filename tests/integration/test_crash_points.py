"""A crash at any operation on files loses nothing: a bounded edition of `python -m benchmarks.crash_points`."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("benchmarks.crash_points", reason="a wheel comes without benchmarks")

SHORT = ("collect", "fit", "evaluate", "prepare", "dataset import", "dataset strip", "report")


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="the shim needs Linux and a C compiler"
)
def test_crashes_at_a_few_points_of_each_command() -> None:
    line = [sys.executable, "-m", "benchmarks.crash_points", "--points", "4", "--commands", *SHORT]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in SHORT:
        assert f"{name}: 4 points, 0 with another outcome" in done.stdout


def test_what_a_loss_of_power_could_undo_is_found() -> None:
    from benchmarks.crash_points.__main__ import unflushed

    sound = ["write\t/a/.tmp\t", "fsync\t/a/.tmp\t", "rename\t/a/.tmp\t/a/b", "fsync\t/a\t"]
    assert unflushed(sound) == []
    assert unflushed(sound[:1] + sound[2:]) == ["/a/b", "/a/.tmp"]
    assert unflushed(sound[:3]) == ["/a"]
