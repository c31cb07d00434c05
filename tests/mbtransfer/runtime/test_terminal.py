"""Whatever a name holds, a terminal shows it and obeys none of it."""

from __future__ import annotations

import ast
import io
import re
import shutil
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.live import Live
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

import mbtransfer
from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.streams import printable, single_line
from mbtransfer.runtime.terminal import Terminal, styled

HOME = Path(mbtransfer.__file__).parent
NASTY = "[red]a[/bold]:key:\x1b[31m\x1b]0;title\x07\x9b2J\u202ecod\u2028\r\n\tb"
SEEN = r"[red]a[/bold]:key:\x1b[31m\x1b]0;title\x07\x9b2J\u202ecod\u2028\r\n\tb"
OWN = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
"""What rich itself writes: colours and movements of the cursor."""


def unseen(text: str) -> set[str]:
    """The characters in `text` that a terminal obeys or does not show, but for ends of lines."""
    return {
        char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


@settings(max_examples=20)
@given(st.text())
def test_what_is_shown_has_no_character_that_is_obeyed(text: str) -> None:
    assert not unseen(printable(text)) and not unseen(single_line(text))
    assert "\n" not in single_line(text) and printable(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", ["Töpfe und Pfannen", "湯を沸かす", "a\u00a0b \u3000 c", "🫖 → ✔", "[red] :key:"]
)
def test_text_that_is_seen_stays(text: str) -> None:
    assert printable(text) == single_line(text) == text


def test_a_name_of_bytes_that_are_no_text_can_be_shown() -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")  # as Python names such a file
    assert printable(name).encode() == rb"caf\udce9"


def test_a_terminal_shows_every_kind_of_text_as_it_is() -> None:
    screen = io.StringIO()
    terminal = Terminal(file=screen, width=300, force_terminal=True, color_system="truecolor")
    table = Table(NASTY, title=NASTY)
    table.add_row(NASTY)
    table.add_row(styled((NASTY, "bold red")))
    for shown in (NASTY, styled(NASTY, (NASTY, "bold")), table):
        terminal.print(shown)
    terminal.say(NASTY)
    terminal.rule(NASTY)
    assert screen.getvalue().count(SEEN) == 9
    terminal.print(Text(NASTY))  # made elsewhere: lines stay lines
    terminal.print(Markdown(f"# {NASTY}\n\n[a]({NASTY})\n", hyperlinks=False))
    with Live(NASTY, console=terminal), progress_bar(terminal, NASTY, 10, NASTY) as advance:
        advance(3)
    assert not unseen(OWN.sub("", screen.getvalue()).replace("\r", ""))
    assert "\x1b[31m\\x1b]0;" not in screen.getvalue()


def test_a_table_is_as_wide_as_what_it_shows() -> None:
    screen = io.StringIO()
    table = Table("name", "number")
    for name in ("plain", "\x1b[31mred\u202e"):
        table.add_row(styled((name, "bold")), "1")
    Terminal(file=screen, width=80).print(table)
    assert len({len(line) for line in screen.getvalue().splitlines()}) == 1


def calls_and_imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield f"{ast.unparse(node.func)}()"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_no_other_way_to_the_terminal() -> None:
    banned = {
        "print()",
        "rich.print",
        "rich.console.Console",
        "Text()",
        "Text.assemble()",
        "Text.from_markup()",
    }
    banned |= {"sys.stdout.write()", "sys.stderr.write()", "traceback.print_exc()"}
    found = {
        (path.name, one)
        for path in HOME.rglob("*.py")
        for one in banned.intersection(calls_and_imports(path.read_text(encoding="utf-8")))
    }
    ways = {
        ("streams.py", "print()"),
        ("terminal.py", "rich.console.Console"),
        ("terminal.py", "Text.assemble()"),
    }
    assert found == ways


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has such a name too."""
    path = tmp_path / NASTY.replace("/", "")
    path.mkdir()
    monkeypatch.chdir(path)
    monkeypatch.setenv("COLUMNS", "400")  # nothing is cut off
    return path


def said(line: list[str], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """All that a command says, after a look at each character."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(line) == code, (line, capsys.readouterr())
    text = "".join(capsys.readouterr())
    assert not unseen(text), (line, text)
    assert code == 0 or len(text.splitlines()) == 1, text
    return text


TASK = """\
NAME, DESCRIPTION = "[red]a[bold]", {description!r}

def reward(obs, action, next_obs):
    return obs[..., 0]

def success(obs):
    return obs[..., 0] > 9
"""


@pytest.mark.slow
def test_commands_show_names_as_they_are(
    home: Path, dataset: Dataset, fitted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(dataset.path, home / "data")
    shutil.copytree(fitted_folder, home / "model")
    (home / "task.py").write_text(TASK.format(description=NASTY))
    data, model, own = (str(home / name) for name in ("data", "model", "task.py"))
    search = ["--candidates", "2", "--horizon", "1", "--iterations", "1"]
    truth = ["--dynamics", "oracle", "--reward", "true", "--task-file", own, *search]
    for line in (
        ["dataset", "info", data],
        ["dataset", "strip", data, "--out", str(home / "less"), "--fixtures", "drawer"],
        ["check", "--model", model, "--task-file", own],
        ["prepare", "--model", model, "--task-file", own, "--tasks", "[red]a[bold]", "--updates", "1"],
        ["plan", *truth],
        ["evaluate", *truth, "--tasks", "[red]a[bold]", "--episodes", "1", "--rows", str(home / "rows.csv")],
        ["evaluate", *truth, "--tasks", "[red]a[bold]", "--episodes", "1", "--rows", str(home / "rows.csv")],
        ["report", str(home)],
    ):
        text = said(line, capsys, 0)
        assert "[red]a" in text, line


def test_errors_and_warnings_show_names_as_they_are(
    home: Path, dataset: Dataset, fitted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(dataset.path, home / "data")
    (home / "bad.yaml").write_text(f"# {NASTY}\nname: [")
    (home / "bad.py").write_text(f"raise ValueError({NASTY!r})")
    (home / "rows.csv").write_text(f"{NASTY}\n")
    model = ["--model", str(fitted_folder)]
    for line in (
        [NASTY],
        ["plan", f"--{NASTY}"],
        ["plan", *model, "--task", NASTY],
        ["plan", *model, "--recipe", str(home / "bad.yaml")],
        ["plan", *model, "--task-file", str(home / "bad.py")],
        ["plan", *model, "--planner", NASTY, "--task", "light_on"],
        ["evaluate", *model, "--tasks", "light_on", "--rows", str(home / "rows.csv"), "--episodes", "1"],
        ["evaluate", "--model", str(home / "none"), "--tasks", "light_on"],
        ["fit", "--data", str(home / "none"), "--out", "out"],
        ["tasks", "--env", NASTY],
        ["collect", "--env", f"gym:{NASTY}", "--out", "out"],
        ["dataset", "import", str(home / NASTY), "--out", "out"],
        ["reproduce", NASTY],
        ["report", NASTY],
        ["speed", NASTY],
    ):
        said(line, capsys, 2)
    shard = min((home / "data").rglob("*.safetensors"))
    shard.rename(shard.with_name(f"{shard.name}\x1b[31m"))
    shard.write_bytes(b"")
    said(["dataset", "info", str(home / "data")], capsys, 0)
    strip = ["dataset", "strip", str(home / "data"), "--out", "less", "--fixtures", "drawer"]
    assert "warning: " in said(strip, capsys, 0)
