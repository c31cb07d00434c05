"""Tracker that runs in a process of its own and never blocks the command.

Messages go through a queue and a thread, so that even a process that no longer reads holds up nothing.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mbtransfer.tracking.tracker import Tracker

PATIENCE = 10.0
"""Seconds that a command which has ended waits for its tracker, before it leaves it to itself."""

HOME = Path(__file__).resolve().parents[2]


class SubprocessTracker(Tracker):
    """Sends messages to `mbtransfer.tracking.server`, which begins with the first of them.

    Args:
        begin: gives what the process must know of the run; called once, with the first message.
        say: shows one line to the user.
    """

    def __init__(self, begin: Callable[[], Mapping[str, Any]], say: Callable[[str], None]) -> None:
        self._begin, self._say = begin, say
        self._begun, self._said = False, False
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []

    def tell(self, verb: str, **what: Any) -> None:
        """See `Tracker.tell`."""
        if not self._begun and verb != "finish":  # else it ended before there was anything to keep
            self._begun, self._process = True, self._start()
        self._queue.put(_line({"verb": verb, "what": what}))
        if verb == "finish" and self._process:
            self._queue.put(None)
            self._wait(self._process)

    def _start(self) -> "subprocess.Popen[bytes] | None":
        path = os.pathsep.join([str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._queue.put(_line(dict(self._begin())))
        try:
            process = subprocess.Popen(
                # -P: W&B's folder of runs is called `wandb` too, and must not pass for the package.
                [sys.executable, "-P", "-m", "mbtransfer.tracking.server"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._say_once(f"the tracker cannot be started ({error.strerror}); the run goes on without it")
            return None
        self._threads = [
            threading.Thread(target=work, args=(process,), daemon=True) for work in (self._feed, self._listen)
        ]
        for thread in self._threads:
            thread.start()
        return process

    def _feed(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        with suppress(OSError), process.stdin as pipe:  # if it is gone, that is noticed when the command ends
            while (line := self._queue.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout as notes:
            for line in notes:
                self._say_once(line.decode(errors="replace").strip())
        process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            if process.wait(PATIENCE):
                self._say_once("the tracker has ended early; what is on disk is complete")
            for thread in self._threads:
                thread.join(PATIENCE)
        except subprocess.TimeoutExpired:
            self._say_once(f"the tracker is slow and goes on alone (process {process.pid})")

    def _say_once(self, line: str) -> None:
        if not self._said:
            self._said = True
            self._say(line)


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, default=_jsonable).encode() + b"\n"


def _jsonable(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
