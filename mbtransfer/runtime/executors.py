"""Executors: parallel work in local processes or on a Ray cluster."""

import importlib
import multiprocessing
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar, runtime_checkable

from mbtransfer.errors import USER_ERRORS, UserError
from tasks.spec import nearest

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("local", "ray")


@runtime_checkable
class Executor(Protocol):
    """Does a job on many items, several at a time."""

    @property
    def workers(self) -> int:
        """How many at a time."""
        ...

    def map(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Each item with its result, in the order in which they are finished; lost work is done again.

        Items of an iterator are asked for when there is room, and after the results so far were yielded.

        Raises:
            WorkerDied: an item's process died in every try.
            Exception: what `job` raised; of other types than user errors and OSError only the text.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Processes of this machine; with one worker, this process."""

    workers: int = 1

    def map(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """See `Executor.map`."""
        return in_processes(job, items, self.workers)


@dataclass(frozen=True)
class RayExecutor:
    """A Ray cluster: one task per item, begun again elsewhere when its process or node is lost.

    Datasets and results are written here; models must lie where every node finds them.

    Attributes:
        workers: tasks that may wait or run at a time.
        address: of the cluster; `auto` is the one that is running here, `local` starts one on this machine.
    """

    workers: int = 1
    address: str = "auto"

    def map(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """See `Executor.map`.

        Raises:
            UserError: Ray is not installed, or there is no cluster.
        """
        ray = self._joined()
        remote = ray.remote(max_retries=TRIES - 1)(answer)
        held, waiting, busy = ray.put(job), iter(items), dict[Any, Item]()
        try:
            while True:
                while len(busy) < self.workers and (some := list(islice(waiting, 1))):
                    busy[remote.remote(held, some[0])] = some[0]
                if not busy:
                    return
                (ready,), _ = ray.wait(list(busy), num_returns=1)
                item = busy.pop(ready)
                yield item, self._result(ray, ready)
        finally:
            for task in busy:
                ray.cancel(task, force=True)

    def _result(self, ray: Any, ready: Any) -> Any:
        lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError)
        try:
            result, error = ray.get(ready)
        except lost as end:
            raise WorkerDied(f"a Ray worker was lost {TRIES} times on the same work: {end}") from end
        if error is not None:
            raise error
        return result

    def _joined(self) -> Any:
        try:
            ray = importlib.import_module("ray")
        except ImportError as error:
            raise UserError("ray is not installed: pip install 'mbtransfer[ray]'") from error
        if not ray.is_initialized():
            try:
                ray.init(address=self.address, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UserError(
                    f"no Ray cluster at {self.address!r} that lets us in; begin one with `ray start --head`, give its "
                    "token (RAY_AUTH_MODE=token RAY_AUTH_TOKEN=...), or --address local"
                ) from error
        return ray


def make_engine(name: str, workers: int, address: str) -> Executor:
    """The engine of that name.

    Raises:
        UserError: there is none.
    """
    if name == "ray":
        return RayExecutor(workers, address)
    if name == "local":
        return LocalExecutor(workers)
    raise UserError(f"no engine {name!r}{nearest(name, list(ENGINES))}")


TRIES = 3
"""How often an item is begun whose worker died; then it is the item's fault, or the memory's."""


class WorkerDied(RuntimeError):
    """Worker processes ended without a word, on one item again and again; mostly the machine ran out of memory."""


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


def in_processes(
    job: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result]]:
    """Do `job` on every item and yield each with its result, in the order in which they are finished.

    Items of an iterator are asked for one by one, when a worker is free and the results so far were yielded: so they
    may depend on these.

    With one worker (or one item) all is done here, in this process. Otherwise `job` must be a function of a
    module, and a script that calls this needs the usual `if __name__ == "__main__":`.

    An item whose process dies is done again by another one, up to `TRIES` times. Whatever ends the loop early (an
    error, Ctrl-C, a `break`) ends the processes too.

    Raises:
        WorkerDied: an item's process died in every try.
        Exception: what `job` raised; of other types than user errors and OSError only the text.
    """
    workers = min(workers, len(items)) if isinstance(items, Sequence) else workers
    if workers <= 1:
        yield from ((item, job(item)) for item in items)
        return
    with ExitStack() as stack:
        yield from _distribute(partial(_start, job, stack), workers, items)


def _distribute(
    start: Callable[[], _Worker], workers: int, items: Iterable[Any]
) -> Iterator[tuple[Any, Any]]:
    known = isinstance(items, Sequence)
    waiting = iter(items)
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, Any, int]] = {}

    def employ() -> None:
        while len(busy) < workers and (some := list(islice(waiting, 1))):
            _hand_out(idle.pop() if idle else start(), some[0], 1, busy)

    employ()
    while busy:
        for pipe in wait(list(busy)):
            worker, item, tries = busy.pop(pipe)
            try:
                result = _receive(worker)
            except WorkerDied:
                if tries == TRIES:
                    raise
                _hand_out(start(), item, tries + 1, busy)
                continue
            idle.append(worker)
            if known:  # the worker need not wait for what is done with the result
                employ()
            yield item, result
        employ()


def _hand_out(worker: _Worker, item: Any, tries: int, busy: dict[Any, tuple[_Worker, Any, int]]) -> None:
    busy[worker.pipe] = (worker, item, tries)
    with suppress(BrokenPipeError):  # it died: receiving says so
        worker.pipe.send(item)


def _receive(worker: _Worker) -> Any:
    try:
        result, error = worker.pipe.recv()
    except (EOFError, ConnectionResetError) as end:
        worker.process.join(timeout=5)
        code = worker.process.exitcode
        raise WorkerDied(f"a worker process ended with code {code} (was the memory full?)") from end
    if error is not None:
        raise error
    return result


def _context() -> BaseContext:
    """Fork workers from a server that has imported the heavy parts once, where there can be one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mbtransfer.collection.collect"])
    return context


def _start(job: Callable[[Any], Any], stack: ExitStack) -> _Worker:
    context = _context()
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(job, there), daemon=True)  # type: ignore[attr-defined]
    process.start()
    there.close()
    worker = _Worker(process, here)
    stack.callback(_end, worker)
    return worker


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.terminate()
    worker.process.join(timeout=5)


def _serve(job: Callable[[Any], Any], pipe: Connection) -> None:
    """What a worker does: one item after the other, until there is nobody to ask for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    warnings.simplefilter("ignore")  # and what is worth saying, it says once
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(answer(job, pipe.recv()))
    os._exit(0)  # the parent is gone or has what it wanted: nothing to tidy up


def answer(job: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    """The result, or the error that the parent is to raise, with the traceback as a note."""
    try:
        return job(item), None
    except Exception as error:
        # Other types may need more than a text to be made, and would not survive the way.
        known = isinstance(error, (*USER_ERRORS, OSError))
        carried = error if known else RuntimeError(f"{type(error).__name__}: {error}")
        carried.add_note("in a worker process:\n" + traceback.format_exc())
        return None, carried
