"""Work is checked before it begins."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue

from mbtransfer.live.checker import Checker
from mbtransfer.model import Model

WAIT = 60.0


def test_it_tells_what_is_known_and_then_lets_work_begin(drifting: Callable[..., Model]) -> None:
    """That model expects the drawer to open by itself, and its pool has never moved it."""
    model = drifting(visited=("microwave",))
    said = Queue[str]()
    checker = Checker(model, said.put)
    checker.start()
    task = model.environment.task("drawer_open")
    checker.ask(task, lambda: said.put("begin"))
    assert said.get(timeout=WAIT) == "check: looking at drawer_open ..."
    line = said.get(timeout=WAIT)
    assert (
        line.startswith("check: knows 0% of the way, done in ")
        and "⚠ the pool moved drawer over only 0%" in line
    )
    assert said.get(timeout=WAIT) == "begin"
    checker.ask(task)  # known already
    assert said.get(timeout=WAIT) == line
    checker.stop()
