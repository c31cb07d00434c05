"""Methods by name and from a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mbtransfer.errors import UserError
from mbtransfer.transfer.registry import METHODS, choose_methods, load_method_file
from tasks.registry import make

MINE = """
import torch
from mbtransfer.transfer.method import Method, Solution

class Still(Method):
    name = "still"

    def pretrain(self, sources):
        return sources

    def solve(self, sources, target):
        return Solution(lambda obs: torch.zeros(len(obs), env.spec.action_size))
"""


def test_the_ends_of_the_score_always_run() -> None:
    assert [method.name for method in choose_methods(["model"])] == ["random", "model", "oracle"]
    assert [method.name for method in choose_methods(["all"])] == list(METHODS)


def test_a_wrong_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no method 'modle'.*'model'"):
        choose_methods(["modle"])


def test_a_users_method_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    own = load_method_file(tmp_path / "mine.py", make("kitchen"))
    assert [method.name for method in choose_methods(["still"], own)] == ["random", "oracle", "still"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no method"),
        ("1 / 0", "mine.py:1: running it raised ZeroDivisionError"),
        (MINE.replace('"still"', '"model"'), "there is a method 'model' already"),
        (MINE.replace('name = "still"', "pass"), "Still needs a name"),
        (MINE.replace("def solve", "def solves"), r"Still\(\) raised TypeError"),
    ],
)
def test_a_faulty_file_is_explained_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message):
        load_method_file(tmp_path / "mine.py", make("kitchen"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--method-file takes"):
        load_method_file(tmp_path / "none.py", make("kitchen"))
