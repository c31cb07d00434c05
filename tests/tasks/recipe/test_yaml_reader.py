"""Recipes in files, and files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.errors import TaskError
from tasks.recipe import load_recipe
from tests.tasks.recipe.flat import ENV, HEAD


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "  - lid_up\n").encode())
    assert load_recipe(path, ENV) == load_recipe(str(path), ENV) == load_recipe(HEAD + "  - lid_up\n", ENV)


def file_complaint(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        load_recipe(path, ENV)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    assert f"{path}:1: does not exist" in file_complaint(path)
    assert ":1: is not a file" in file_complaint(tmp_path)
    assert ":1: is not a file" in file_complaint(Path(os.devnull))
    assert ":1: cannot be read (File name too long)" in file_complaint(tmp_path / ("x" * 5000))
    assert ":1: does not exist" in file_complaint(tmp_path / "a\nb\0c")
    path.write_bytes(HEAD.encode() + b"  - caf\xe9\n")
    assert f"{path}:3: not UTF-8" in file_complaint(path)
    path.write_bytes(HEAD.encode("utf-16"))
    assert f"{path}:1: not UTF-8" in file_complaint(path)
    path.write_bytes(b"#" * 65_537)
    assert f"{path}:1: larger than 64 KiB" in file_complaint(path)


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is not a file" in file_complaint(tmp_path / "pipe.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "lunch.yaml"
    path.touch(mode=0)
    assert "cannot be read" in file_complaint(path)


def test_a_failing_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "lunch.yaml"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read (Input/output error)" in file_complaint(path)
