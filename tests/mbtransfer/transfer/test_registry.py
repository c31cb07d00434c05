"""Methods by name and from a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.transfer.registry import METHODS, choose_methods, load_method_file
from tasks.registry import make


def test_the_ends_of_the_score_always_run() -> None:
    assert [method.name for method in choose_methods(["model"])] == ["random", "model", "oracle"]
    assert [method.name for method in choose_methods(["all"])] == list(METHODS)


def test_a_wrong_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no method 'modle'.*'model'"):
        choose_methods(["modle"])


def test_a_users_method_comes_from_a_file(method_file: Path) -> None:
    own = load_method_file(method_file, make("kitchen"))
    assert [method.name for method in choose_methods(["still"], own)] == ["random", "oracle", "still"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Still(Method)", "class Still", "defines no method"),
        ("import torch", "1 / 0", "mine.py:2: running it raised ZeroDivisionError"),
        ('"still"', '"model"', "there is a method 'model' already"),
        ('name = "still"', "pass", "Still needs a name"),
        ("def solve", "def solves", r"Still\(\) raised TypeError"),
    ],
)
def test_a_faulty_file_is_explained_in_a_line(method_file: Path, old: str, new: str, message: str) -> None:
    method_file.write_text(method_file.read_text().replace(old, new))
    with pytest.raises(UserError, match=message):
        load_method_file(method_file, make("kitchen"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--method-file takes"):
        load_method_file(tmp_path / "none.py", make("kitchen"))
