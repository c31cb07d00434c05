"""The documentation keeps up with the code: every public name has its entry, every figure its page and its program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mbtransfer

DOCS = Path(__file__).parents[1] / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="a wheel comes without documentation")


def pages() -> dict[Path, str]:
    return {page: page.read_text("utf-8") for page in sorted(DOCS.rglob("*.md"))}


@pytest.mark.parametrize("name", sorted(mbtransfer.PUBLIC))
def test_a_public_name_is_in_the_reference(name: str) -> None:
    entries = re.findall(r"^::: (\S+)$", "".join(pages().values()), flags=re.MULTILINE)
    assert [entry for entry in entries if entry.rpartition(".")[2] == name]


def test_each_figure_has_a_program_and_a_page() -> None:
    figures = pytest.importorskip("benchmarks.figures.__main__").FIGURES
    shown = {name for text in pages().values() for name in re.findall(r"figures/([\w-]+)\.svg", text)}
    there = {path.stem for path in (DOCS / "figures").glob("*.svg")}
    assert set(figures) == shown == there


def test_each_example_that_is_named_is_there() -> None:
    named = {name for text in pages().values() for name in re.findall(r"examples/\w+\.(?:py|yaml)", text)}
    assert named
    assert not [name for name in named if not (DOCS.parent / name).is_file()]


def test_the_figures_say_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = pytest.importorskip("benchmarks.figures.__main__")
    for arguments, line in (
        (["risk", "--demo", str(tmp_path)], f"error: cannot read {tmp_path / 'diagnostics.json'}"),
        (["pool", "--demo", str(tmp_path)], f"error: {tmp_path / 'model'} is not a model folder"),
        (["riks"], "error: no figure 'riks'; there are one-model,"),
    ):
        monkeypatch.setattr("sys.argv", ["figures", "--out", str(tmp_path), *arguments])
        assert program.main() == 2
        told = capsys.readouterr().err
        assert told.startswith(line) and told.count("\n") == 1
    assert not list(tmp_path.glob("*.svg"))
