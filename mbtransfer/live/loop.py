"""The loop behind the live page: control steps at real speed in a thread of their own."""

from collections.abc import Callable
from queue import Empty, Queue
from threading import Event, Thread
from time import perf_counter

import torch

from mbtransfer.errors import USER_ERRORS
from mbtransfer.live.session import LiveSession, Moment

Command = Callable[[LiveSession], None]


class LiveLoop:
    """Steps a session, and carries out what others ask of it between two control steps.

    The session belongs to this thread alone: everybody else sends commands.

    Args:
        session: what is stepped.
        watch: called after each control step, in this thread.
        complain: called with a line of text where a command or a step went wrong, in this thread.
        threads: of torch, for planning.

    Attributes:
        paused: whether only `step_once` steps.
        speed: times real time; infinite for as fast as decisions come.
    """

    def __init__(
        self,
        session: LiveSession,
        watch: Callable[[Moment], None],
        complain: Callable[[str], None],
        threads: int = 1,
    ) -> None:
        self.paused, self.speed = False, 1.0
        self._session, self._watch, self._complain, self._threads = session, watch, complain, threads
        self._commands: Queue[Command | None] = Queue()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="planning", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current control step."""
        self._ended.set()
        self._commands.put(None)
        self._thread.join()

    def do(self, command: Command) -> None:
        """Let a command be carried out before the next control step."""
        self._commands.put(command)

    def pause(self, on: bool) -> None:
        """Step no more by itself, or go on."""
        self.paused = on
        self._commands.put(None)  # so that the loop looks again

    def step_once(self) -> None:
        """Take one control step, paused or not."""
        self.do(lambda session: self._step())

    def _run(self) -> None:
        torch.set_num_threads(self._threads)  # it holds for the thread that calls
        due = perf_counter()
        while not self._ended.is_set():
            if self._wait(due):
                continue
            due = max(due + self._session.spec.control_dt / self.speed, perf_counter())
            self._guarded(self._step)

    def _wait(self, due: float) -> bool:
        """Carry out a command if one comes before the next step is due; whether one came."""
        stands = self.paused or not self._session.running
        left = None if stands else max(0.0, due - perf_counter())
        try:
            command = self._commands.get(timeout=left) if left != 0.0 else self._commands.get_nowait()
        except Empty:
            return False
        if command is not None:
            self._guarded(lambda: command(self._session))
        return True

    def _step(self) -> None:
        moment = self._session.step()
        if moment is not None:
            self._watch(moment)

    def _guarded(self, work: Callable[[], None]) -> None:
        """A mistake in what was asked is told, and the loop goes on."""
        try:
            work()
        except USER_ERRORS as error:
            self._complain(str(error))
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error} (unexpected)")
