from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.labels.label_file import LabelTable, read_labels, write_labels
from mbtransfer.model import Model
from tasks.registry import make
from world_models.transitions import Transitions

KITCHEN = make("kitchen")


@pytest.fixture
def table(fitted: Model) -> LabelTable:
    """12 transitions, of which the first 10 have labels and one is a success."""
    labels = fitted.label(KITCHEN.task("drawer_open"), 12)
    blank = LabelTable.blank(Transitions(labels.obs, labels.actions, labels.next_obs))
    return blank.answered(torch.arange(10), labels.reward[:10], torch.arange(10) == 3)


@pytest.fixture
def spoilt(table: LabelTable, tmp_path: Path) -> Callable[..., Path]:
    """`spoilt(change)`: a label file with something wrong in it."""

    def write(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        path = tmp_path / "labels.csv"
        write_labels(path, table, KITCHEN.spec)
        change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)
        return path

    return write


def test_a_label_file_comes_back_as_it_was(table: LabelTable, tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.csv", table, KITCHEN.spec)
    found = read_labels(tmp_path / "labels.csv", KITCHEN.spec)
    for name, tensor in vars(table.transitions).items():
        assert torch.equal(getattr(found.transitions, name), tensor)
    assert torch.equal(found.success, table.success) and found.open.tolist() == [False] * 10 + [True] * 2
    assert torch.equal(found.labels.reward, table.labels.reward)
    assert found.labels.success.nonzero().flatten().tolist() == [3]


def test_a_spreadsheet_may_add_columns_and_write_words(spoilt: Callable[..., Path]) -> None:
    path = spoilt(lambda frame: frame.assign(success="TRUE", note="well done", reward=" 2 "))
    found = read_labels(path, KITCHEN.spec)
    assert found.success.all() and found.reward.tolist() == [2.0] * 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda frame: frame.rename(columns={"drawer": "drawr"}),
            "no column 'drawer'; did you mean 'drawr'",
            id="a column is missing",
        ),
        pytest.param(
            lambda frame: frame[["reward", "success"]],
            "not a table of kitchen: 110 of 112 columns are missing",
            id="another world",
        ),
        pytest.param(
            lambda frame: frame.assign(tap=["0"] * 5 + ["nan"] * 7),
            r"labels.csv:7: tap is 'nan', not a finite number",
            id="an observation is not finite",
        ),
        pytest.param(
            lambda frame: frame.assign(reward=["1"] * 9 + ["inf", "", ""]),
            r"labels.csv:11: reward is 'inf', not a finite number",
            id="a reward is not finite",
        ),
        pytest.param(
            lambda frame: frame.assign(success=["0", "maybe"] + ["1"] * 10),
            r"labels.csv:3: success is 'maybe'; write 1 or 0",
            id="a success is neither",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    spoilt: Callable[..., Path], change: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    with pytest.raises(UserError, match=words) as told:
        read_labels(spoilt(change), KITCHEN.spec)
    assert "\n" not in str(told.value)


def test_empty_rows_are_left_out_but_counted(spoilt: Callable[..., Path]) -> None:
    path = spoilt(lambda frame: frame)
    head, first, *rest = path.read_text().splitlines()
    lines = [head, first, "", "," * head.count(","), *rest, "", ""]
    path.write_text("\n".join(lines))
    assert len(read_labels(path, KITCHEN.spec)) == 12
    path.write_text("\n".join(lines).replace(rest[0], "x" + rest[0]))
    with pytest.raises(UserError, match=r"labels.csv:5: "):
        read_labels(path, KITCHEN.spec)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",", ";"), "separated by semicolons; save it with commas"),
        (lambda text: text.replace("\n", ",\n").replace(",\n", "\n", 1), "more cells than its first line"),
    ],
    ids=["semicolons", "a comma at the end"],
)
def test_other_ways_to_write_tables_are_refused(
    spoilt: Callable[..., Path], change: Callable[[str], str], words: str
) -> None:
    path = spoilt(lambda frame: frame)
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=words):
        read_labels(path, KITCHEN.spec)


@pytest.mark.parametrize("content", [b"", b'"', b"\xff\xfe\x00"], ids=["empty", "open quote", "not UTF-8"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"labels.csv: not a "):
        read_labels(tmp_path / "labels.csv", KITCHEN.spec)
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(tmp_path / "other.csv", KITCHEN.spec)
