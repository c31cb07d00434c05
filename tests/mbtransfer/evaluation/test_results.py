"""Rows: what is written is read again, and neither a kill nor a full disk spoils the file."""

import errno
import os
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.errors import UserError
from mbtransfer.evaluation.results import COLUMNS, HEADER, EpisodeResult, append_rows, read_rows

ROW = EpisodeResult(
    task="drawer_half",
    kind="task",
    split="held_out",
    planner="mppi",
    dynamics="learned",
    reward="learned",
    labels=10000,
    seed=3,
    episode=0,
    success=True,
    return_=12.345678901234567,
    steps=31,
    steps_to_success=28,
    steps_done=1,
    steps_total=1,
    plan_ms=8.25,
)
FAILED = replace(ROW, episode=1, success=False, return_=-0.1, steps_to_success=None, steps_done=0)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    append_rows(path, [ROW])
    append_rows(path, iter([FAILED]))
    frame = read_rows(path)
    assert tuple(frame.columns) == COLUMNS
    assert path.read_bytes().count(HEADER) == 1
    assert tuple(frame.iloc[0]) == astuple(ROW)
    assert frame["steps_to_success"].isna().tolist() == [False, True]
    assert frame["success"].dtype == bool and frame["labels"].dtype == "int64"


def test_the_header_is_the_documented_one() -> None:
    assert HEADER.decode().strip() == (
        "task,kind,split,planner,dynamics,reward,labels,seed,episode,success,return_,steps,steps_to_success,"
        "steps_done,steps_total,plan_ms,cut,infeasible,diverged,check"
    )


def test_names_may_hold_commas_quotes_and_any_letter(tmp_path: Path) -> None:
    name = 'tür, "halb" offen'
    append_rows(tmp_path / "rows.csv", [replace(ROW, task=name)])
    assert read_rows(tmp_path / "rows.csv")["task"].tolist() == [name]


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@sum", "'=1"])
def test_a_spreadsheet_takes_no_name_for_a_formula(name: str, tmp_path: Path) -> None:
    append_rows(tmp_path / "rows.csv", [replace(ROW, task=name)])
    assert (tmp_path / "rows.csv").read_text().splitlines()[1].startswith("'")
    assert read_rows(tmp_path / "rows.csv")["task"].tolist() == [name]


def test_a_changed_number_is_found(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW, FAILED])
    path.write_text(path.read_text().replace("-0.1", "-0.2"))
    with pytest.raises(UserError, match="line 3 is not as it was written"):
        read_rows(path)


def test_rows_without_checksums_are_read(tmp_path: Path) -> None:
    """Older files have none, and who edits a file on purpose takes the column out."""
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW, FAILED])
    path.write_text("".join(line.rpartition(",")[0] + "\n" for line in path.read_text().splitlines()))
    assert len(read_rows(path)) == 2


@pytest.mark.slow
def test_a_kill_after_any_byte_loses_the_torn_line_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW, FAILED])
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        finished = max(0, whole[:length].count(b"\n") - 1)
        assert len(read_rows(path)) == finished
        append_rows(path, [replace(FAILED, episode=9)])
        assert len(read_rows(path)) == finished + 1
        assert path.read_bytes().count(b"task,kind") == 1


def test_no_rows_touch_nothing(tmp_path: Path) -> None:
    append_rows(tmp_path / "rows.csv", [])
    assert not (tmp_path / "rows.csv").exists()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        append_rows(path, [FAILED])
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write") as caught:
        append_rows(tmp_path / "file" / "rows.csv", [ROW])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b,c\n1,2,3\n", "no column 'task'"),
        (HEADER.replace(b"success,", b"succes,", 1), "no column 'success', only 'succes'"),
        (HEADER.replace(b"kind", b"task"), "the column 'task' twice"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not a rows file"),
        (HEADER + b"\xff\xfe\n", "not a rows file"),
        (HEADER + b"too,few\n", "line 2: 2 fields where the header has 20"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_rows(path)
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_appending_harms_no_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, unfinished")
    with pytest.raises(UserError, match="not a rows file"):
        append_rows(path, [ROW])
    assert path.read_text() == "my notes, unfinished"


def test_a_file_with_more_columns_is_read_and_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW])
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]},colour\n{lines[1]},red\n")
    assert read_rows(path)["colour"].tolist() == ["red"]
    with pytest.raises(UserError, match="another version"):
        append_rows(path, [ROW])


def test_no_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*rows\.csv: No such file"):
        read_rows(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("column", "written", "said"),
    [
        ("success", "yes", "success is 'yes', not a whole number"),
        ("success", "2", "success is 2, not 0 or 1"),
        ("split", "heldout", "split is 'heldout', not one of source, held_out, recipes, user"),
        ("return_", "nan", "return_ is nan, which cannot be"),
        ("steps", "-1", "steps is -1, which cannot be"),
        ("steps", "9" * 400, f"steps is {'9' * 400}, which cannot be"),
        ("plan_ms", "", "plan_ms is '', not a number"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, column: str, written: str, said: str) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW, ROW])
    lines = path.read_text().splitlines()
    values = lines[2].split(",")
    values[COLUMNS.index(column)] = written
    path.write_text("\n".join([*lines[:2], ",".join(values)]) + "\n")
    with pytest.raises(UserError) as caught:
        read_rows(path)
    assert f"line 3: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [("split", "other"), ("return_", float("nan")), ("plan_ms", -1.0), ("task", "two\nlines"), ("kind", "")],
)
def test_an_episode_that_cannot_be_is_refused(column: str, value: Any) -> None:
    with pytest.raises(UserError, match=column):
        replace(ROW, **{column: value})


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_rows(path, [ROW])
    lines = [line.rsplit(",", 2)[0] for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    frame = read_rows(path)
    assert frame["cut"].tolist() == frame["infeasible"].tolist() == [0.0]
    with pytest.raises(UserError, match="another version"):
        append_rows(path, [ROW])
