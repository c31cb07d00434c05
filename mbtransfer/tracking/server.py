"""The tracker's process: messages on standard input, notes on standard output."""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, Protocol, runtime_checkable

Say = Callable[[str], None]


@runtime_checkable
class Sink(Protocol):
    """What takes the messages of `mbtransfer.tracking.Tracker` in here."""

    def log(self, values: dict[str, float], axis: str, at: int) -> None:
        """Points of curves."""

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """A table."""

    def summary(self, found: dict[str, Any]) -> None:
        """What came of it."""

    def artifact(self, kind: str, path: str, digest: str, made: bool) -> None:
        """Files that were made or used."""

    def film(self, name: str, path: str) -> None:
        """A film."""

    def finish(self, exit_code: int) -> None:
        """The end."""


def main() -> int:
    """Take messages until the other side ends; 1 if some of them could not be kept."""
    queue: SimpleQueue[str | None] = SimpleQueue()
    lines, say = _own_streams()
    threading.Thread(target=_read, args=(lines, queue), daemon=True).start()
    first = queue.get()
    if first is None:
        return 0
    begin = json.loads(first)
    try:
        sink = _open(begin, say)
    except Exception as error:
        say(f"{begin['tracker']} cannot be used ({_short(error)}); the run goes on without it")
        return 0
    return _serve(sink, queue, begin["tracker"], say)


def _serve(sink: Sink, queue: "SimpleQueue[str | None]", name: str, say: Say) -> int:
    ended = False
    while (line := queue.get()) is not None:
        message = json.loads(line)
        ended = message["verb"] == "finish"
        try:
            getattr(sink, message["verb"])(**message["what"])
        except Exception as error:
            say(f"{name}: {_short(error)}; the run goes on")
    if not ended:  # the command was killed
        sink.finish(1)
    return 0


def _open(begin: Mapping[str, Any], say: Say) -> Sink:
    if begin["tracker"] == "wandb":
        from mbtransfer.tracking.wandb import WandbSink

        return WandbSink(begin, say)
    from mbtransfer.tracking.tensorboard import TensorBoardSink

    return TensorBoardSink(begin)


def _own_streams() -> tuple[Any, Say]:
    """Keep the two pipes to ourselves; nobody else in this process may ask, print or wait on them."""
    lines, notes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def say(line: str) -> None:
        try:
            notes.write(" ".join(line.split()) + "\n")
            notes.flush()
        except OSError:  # nobody listens any more
            return

    return lines, say


def _read(lines: Any, queue: "SimpleQueue[str | None]") -> None:
    """Always at once, so that the other side never waits."""
    for line in lines:
        if line.endswith(b"\n"):  # else it was killed in the middle of one
            queue.put(line.decode())
    queue.put(None)


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


if __name__ == "__main__":
    sys.exit(main())
