import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import appearing, replacing, write_bytes, write_json, write_text
from world_models.checkpoint import atomic


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


def test_what_a_killed_writer_left_is_never_listed_and_goes_with_the_next_write(tmp_path: Path) -> None:
    left = tmp_path / f"{atomic.PREFIX}0123456789ab-a.txt"
    left.write_text("half")
    (tmp_path / f"{atomic.PREFIX}ab").mkdir()
    (tmp_path / f"{atomic.PREFIX}ab" / "b.txt").write_text("half")
    assert atomic.listed(tmp_path, "**/*") == []
    atomic.remove_leftovers(tmp_path)
    write_text(tmp_path / "a.txt", "whole")
    assert os.listdir(tmp_path) == ["a.txt"]
    assert atomic.listed(tmp_path, "**/*.txt") == [tmp_path / "a.txt"]


def test_a_write_sweeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / f"{atomic.PREFIX}0123456789ab-a.txt").write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_live_writer_is_left_in_peace(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary, appearing(tmp_path / "b", root=tmp_path) as folder:
        temporary.write_text("whole")
        (folder / "c.txt").write_text("whole")
        atomic.remove_leftovers(tmp_path)
        assert temporary.exists() and folder.exists()
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b" / "c.txt").read_text() == "whole"


def test_without_locks_only_what_is_old_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "POSIX", False)
    for name in (f"{atomic.PREFIX}old", f"{atomic.PREFIX}young", "data"):
        (tmp_path / name).touch()
    long_ago = time.time() - 2 * atomic.STALE_SECONDS
    for name in (f"{atomic.PREFIX}old", "data"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    atomic.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [f"{atomic.PREFIX}young", "data"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), appearing(tmp_path / "b", root=tmp_path) as folder:
        (folder / "c.txt").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []
