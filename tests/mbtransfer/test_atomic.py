import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.atomic import PREFIX, replacing, sweep, write_bytes, write_json, write_text
from mbtransfer.errors import UserError


def test_writes_whole_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "a.bin", b"\x00\x01")
    write_text(tmp_path / "new" / "b.txt", "grün\n")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"\x00\x01"
    assert (tmp_path / "new" / "b.txt").read_text("utf-8") == "grün\n"
    assert sorted(os.listdir(tmp_path / "new")) == ["a.bin", "b.txt"]


def test_json_is_strict_and_takes_numpy(tmp_path: Path) -> None:
    value = {"mean": np.float32(0.5), "curve": np.arange(3), "lost": float("nan"), "at": tmp_path, 1: (True,)}
    write_json(tmp_path / "a.json", value)
    read = json.loads((tmp_path / "a.json").read_text())
    assert read == {"mean": 0.5, "curve": [0, 1, 2], "lost": None, "at": str(tmp_path), "1": [True]}


def test_a_failing_body_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left") as caught:
        write_text(tmp_path / "a.txt", "new")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path, "")


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "film.mp4") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".mp4"
        temporary.write_bytes(b"film")
    assert (tmp_path / "film.mp4").read_bytes() == b"film"


def test_sweep_removes_only_what_was_left_long_ago(tmp_path: Path) -> None:
    for name in (f"{PREFIX}old", f"{PREFIX}young", "data"):
        write_text(tmp_path / name, "")
    long_ago = time.time() - 2 * 3600
    for name in (f"{PREFIX}old", "data"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [f"{PREFIX}young", "data"]
