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
from mbtransfer.transfer.comparison.compare import Comparison, Part, _pieces, compare, do_part
from mbtransfer.transfer.comparison.runs import RunStore
from mbtransfer.transfer.method import Method, Solution, Sources
from mbtransfer.transfer.policy.random_policy import RandomPolicy
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


@dataclass(frozen=True)
class Ready(Still):
    """The same, and says that it needs no practice."""

    name: ClassVar[str] = "ready"
    without_practice: ClassVar[bool] = True


def test_each_number_of_practice_episodes_is_a_run_of_its_own_unless_none_is_needed(
    asked: Comparison, tmp_path: Path
) -> None:
    methods = [still := Still(), ready := Ready(), RandomPolicy()]
    asked = replace(asked, methods=methods, practice=(0, 2), targets=asked.targets[:1])
    runs = compare(asked, RunStore(tmp_path))
    assert [(run.method, run.practice) for run in runs] == [
        ("still", 0), ("still", 2), ("ready", 0), ("random", 0),
    ]  # fmt: skip
    assert len(still.asked) == 2 and len(ready.asked) == 1
    assert len({path.name for path in (tmp_path / "runs").iterdir()}) == 4
    more = replace(asked, practice=(5, 0))
    assert {run.practice for run in compare(more, RunStore(tmp_path))} == {0, 5}
    assert len(still.asked) == 3 and len(ready.asked) == 1, "what is there is not done twice"


class Here:
    """Two workers, both in this process; the parent's methods must stay idle."""

    workers = 2

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def map(self, job, items):  # type: ignore[no-untyped-def]
        for part in items:
            self.parts.append(part)
            yield part, job(part)


def test_workers_write_what_they_did_and_pretrain_as_seldom_as_they_can(
    asked: Comparison, tmp_path: Path
) -> None:
    store, executor = RunStore(tmp_path), Here()
    runs = compare(asked, store, executor=executor, job=lambda part: do_part(asked, store, part))
    assert [(run.method, run.target) for run in runs] == [
        (method, target) for method in ("still", "random") for target in ("drawer_half", "tap_half")
    ]
    assert all(len(part.targets) == 1 for part in executor.parts), "there are fewer parts than two per worker"
    assert compare(asked, store) == runs
    assert (
        not compare(asked, store, executor=(idle := Here()), job=lambda part: [])[0].failed and not idle.parts
    )


def test_parts_stay_whole_where_there_are_enough() -> None:
    parts = [Part("mine", seed, 0, ("a", "b", "c")) for seed in range(4)]
    assert _pieces(parts, 2) == parts
    assert [part.targets for part in _pieces(parts[:1], 1)] == [("a", "c"), ("b",)]


def test_the_matrix_is_made_once_and_only_where_it_is_asked_for(asked: Comparison, tmp_path: Path) -> None:
    plain = replace(asked, methods=[Still(), RandomPolicy()], seeds=(0, 1))
    assert not any(run.elsewhere for run in compare(plain, RunStore(tmp_path)))
    wanted = replace(plain, methods=[still := Still(), RandomPolicy()], matrix=True)
    runs = compare(wanted, RunStore(tmp_path))
    assert still.asked == ["drawer_half", "tap_half"], "those of the first seed are done again"
    rows = [(run.method, run.seed, run.target, list(run.elsewhere)) for run in runs if run.elsewhere]
    assert rows == [("still", 0, "drawer_half", ["tap_half"]), ("still", 0, "tap_half", ["drawer_half"])]
    assert compare(wanted, RunStore(tmp_path)) == runs and len(still.asked) == 2
