"""Two commands never write to one output at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from mbtransfer.cli.main import main
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import output_lock


@pytest.mark.parametrize("folder", [True, False])
def test_the_second_is_refused_and_may_come_later(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "new" / "output"
    with output_lock(path, folder=folder):
        with (
            pytest.raises(UserError, match="another command is writing to"),
            output_lock(path, folder=folder),
        ):
            pass
        with output_lock(tmp_path / "other"):
            pass
    with output_lock(path, folder=folder):
        assert path.is_dir() == folder
    assert not path.exists()


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from mbtransfer.runtime.files import output_lock\n"
        f"with output_lock(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError), output_lock(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with output_lock(tmp_path):
        pass


def test_commands_refuse_in_one_line(
    fitted_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    line = ["evaluate", "--model", str(fitted_folder), "--tasks", "drawer_open", "--rows", str(rows)]
    with output_lock(rows, folder=False):
        assert main([*line, "--episodes", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: another command is writing to")
    assert not rows.exists()
