"""The C library is built once, and only the user's own is loaded; without a compiler there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from world_models.dynamics.compiled import library

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MBTRANSFER_CACHE", str(tmp_path))
    library.cache_clear()
    yield tmp_path / "compiled"
    library.cache_clear()


@needs_compiler
def test_it_is_built_once(cache: Path) -> None:
    assert library() is not None
    (built,) = cache.iterdir()
    before = built.stat().st_mtime_ns
    library.cache_clear()
    assert library() is not None and built.stat().st_mtime_ns == before
    assert built.stat().st_mode & 0o777 == 0o700


@needs_compiler
@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_one_that_others_can_write_is_not_loaded(cache: Path, mode: int) -> None:
    assert library() is not None
    library.cache_clear()
    next(cache.iterdir()).chmod(mode)
    assert library() is None


@pytest.mark.parametrize("compiler", ["", "no-such-compiler", "false"])
def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    monkeypatch.setenv("CC", compiler)
    assert library() is None


@needs_compiler
def test_without_a_folder_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MBTRANSFER_CACHE", str(tmp_path / "file"))
    assert library() is None
