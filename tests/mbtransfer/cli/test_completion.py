"""Completion in bash, as bash does it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mbtransfer.cli.main import main

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
_tyro_mbtransfer
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--completion bash` prints."""
    path = tmp_path_factory.mktemp("completion") / "mbtransfer.bash"
    with pytest.MonkeyPatch.context() as patch, path.open("w") as out:
        patch.setattr("sys.stdout", out)
        assert main(["--completion", "bash"]) == 0
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval"], {"evaluate"}),
        (["dataset", ""], {"info", "import", "export", "strip"}),
        (["evaluate", "--clock", ""], {"frozen", "realtime"}),
        (["dataset", "info", "--pl"], {"--plot"}),
    ],
)
def test_commands_flags_and_choices_are_completed(script: Path, words: list[str], expected: set[str]) -> None:
    line = ["bash", "-c", ASK, "bash", str(script), "mbtransfer", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert expected <= set(done.stdout.split())


def test_other_shells_are_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--completion", "fish"]) == 2
    assert "there are bash, zsh, tcsh" in capsys.readouterr().err
