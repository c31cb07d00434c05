"""Comparisons: the same episodes for every method, failures as results, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.transfer.compare import Comparison, compare
from mbtransfer.transfer.method import Method, Solution, Sources
from mbtransfer.transfer.random_policy import RandomPolicy
from mbtransfer.transfer.runs import RunStore
from tasks.task import Task


@dataclass(frozen=True)
class Still(Method[str]):
    """Does nothing, and counts how often it is asked."""

    name: ClassVar[str] = "still"
    breaks_on: str = ""
    asked: list[str] = field(default_factory=list, repr=False, compare=False)

    def pretrain(self, sources: Sources) -> str:
        if self.breaks_on == "sources":
            raise RuntimeError("no\nluck")
        return "carried"

    def solve(self, carried: str, target: Task) -> Solution:
        assert carried == "carried"
        self.asked.append(target.name)
        if target.name == self.breaks_on:
            raise UserError("not this one")
        return Solution(lambda obs: torch.zeros(len(obs), 4))


@pytest.fixture
def asked(drifting: Callable[..., Model]) -> Comparison:
    model = drifting(rows=50)
    targets = [model.environment.task(name) for name in ("drawer_half", "tap_half")]
    return Comparison(model, [Still(), RandomPolicy()], targets, 50, (0,), 2)


def test_runs_are_kept_and_not_done_twice(asked: Comparison, tmp_path: Path) -> None:
    runs = compare(asked, RunStore(tmp_path))
    assert [(run.method, run.target) for run in runs] == [
        (method, target) for method in ("still", "random") for target in ("drawer_half", "tap_half")
    ]
    assert all(len(run.success) == len(run.returns) == 2 and run.action_ms > 0 for run in runs)
    again = replace(asked, methods=[still := Still(), RandomPolicy()])
    assert compare(again, RunStore(tmp_path)) == runs
    assert not still.asked
    with pytest.raises(UserError, match=r"other settings \(labels was 50, now is 40\)"):
        compare(replace(asked, labels=40), RunStore(tmp_path))


def test_a_failure_is_a_result_and_the_others_go_on(asked: Comparison, tmp_path: Path) -> None:
    broken = replace(asked, methods=[Still("drawer_half"), RandomPolicy()])
    runs = compare(broken, RunStore(tmp_path))
    assert [run.failed for run in runs] == ["not this one", "", "", ""]
    again = replace(broken, methods=[still := Still("drawer_half")])
    compare(again, RunStore(tmp_path))
    assert still.asked == ["drawer_half"], "what failed is tried again, and nothing else"


def test_a_failure_before_the_targets_is_told_of_each(asked: Comparison, tmp_path: Path) -> None:
    runs = compare(replace(asked, methods=[Still("sources")]), RunStore(tmp_path))
    assert [run.failed for run in runs] == ["RuntimeError: no luck"] * 2
