"""The loop steps a session by itself, and carries out commands between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from mbtransfer.errors import UserError
from mbtransfer.live.loop import LiveLoop
from mbtransfer.live.session import LiveSession, Moment, Status

WAIT = 60.0


@contextmanager
def running(session: LiveSession) -> Iterator[tuple[LiveLoop, Queue[Moment], Queue[str]]]:
    moments, lines = Queue[Moment](), Queue[str]()
    loop = LiveLoop(session, moments.put, lines.put)
    loop.speed = float("inf")
    loop.start()
    try:
        yield loop, moments, lines
    finally:
        loop.stop()


def test_it_goes_on_until_the_work_is_done(session: LiveSession) -> None:
    with running(session) as (loop, moments, _):
        loop.do(lambda session: session.give(session.find("reach(drawer)")))
        seen = [moments.get(timeout=WAIT)]
        while seen[-1].status is Status.RUNNING:
            seen.append(moments.get(timeout=WAIT))
    assert [moment.number for moment in seen] == list(range(1, len(seen) + 1))


def test_paused_it_takes_one_step_at_a_time(session: LiveSession) -> None:
    with running(session) as (loop, moments, _):
        loop.pause(True)
        loop.do(lambda session: session.give(session.find("reach(drawer)")))
        for number in (1, 2):
            loop.step_once()
            assert moments.get(timeout=WAIT).number == number
        done = Queue[int]()
        loop.do(lambda session: done.put(session.number))
        assert done.get(timeout=WAIT) == 2
        loop.pause(False)
        assert moments.get(timeout=WAIT).number == 3


def test_a_mistake_is_told_and_it_goes_on(session: LiveSession) -> None:
    def broken(session: LiveSession) -> None:
        raise UserError("that cannot be")

    def bug(session: LiveSession) -> None:
        raise RuntimeError("oh")

    with running(session) as (loop, moments, lines):
        loop.do(broken)
        assert lines.get(timeout=WAIT) == "that cannot be"
        loop.do(bug)
        assert lines.get(timeout=WAIT) == "RuntimeError: oh (unexpected)"
        loop.do(lambda session: session.give(session.find("reach(drawer)")))
        assert moments.get(timeout=WAIT).number == 1
