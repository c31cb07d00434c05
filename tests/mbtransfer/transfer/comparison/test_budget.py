"""Budgets: what the help promises, and methods with less training."""

from __future__ import annotations

import inspect

import pytest

from mbtransfer.config import CompareConfig
from mbtransfer.transfer.comparison.budget import BUDGETS
from mbtransfer.transfer.registry import METHODS


@pytest.mark.parametrize("name", ["small", "paper"])
def test_the_help_tells_what_a_budget_is(name: str) -> None:
    lines = [line.strip() for line in inspect.getsource(CompareConfig).splitlines()]
    line = next(line for line in lines if line.startswith(f"{name}:"))
    budget = BUDGETS[name]
    for told in (f"{budget.labels:,} labels", f"{budget.episodes} episodes"):
        assert told in line
    for what, values in (("practice", budget.practice), ("seed", budget.seeds)):
        words = line.split(what, 1)[1]
        assert all(str(value) in words for value in values)


def test_a_small_method_has_the_name_and_kind_of_the_large_one() -> None:
    small = BUDGETS["small"].sized(list(METHODS.values()))
    assert [(type(one), one.name) for one in small] == [(type(one), one.name) for one in METHODS.values()]
    shrunk = {one.name for one in small if repr(one) != repr(METHODS[one.name])}
    assert {"policy", "distilled_policy", "own_model", "contextual_policy", "successor_features"} <= shrunk
    assert "model" not in shrunk
    assert BUDGETS["paper"].sized(small) == small, "elsewhere nothing shrinks"
