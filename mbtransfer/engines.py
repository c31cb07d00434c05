"""Where work is done: processes of this machine, or a Ray cluster. The results are the same on either."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar, runtime_checkable

from mbtransfer.errors import UserError
from mbtransfer.workers import TRIES, WorkerDied, answer, in_processes
from tasks.spec import nearest

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("local", "ray")


@runtime_checkable
class Engine(Protocol):
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
class Local:
    """Processes of this machine; with one worker, this process."""

    workers: int = 1

    def map(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """See `Engine.map`."""
        return in_processes(job, items, self.workers)


@dataclass(frozen=True)
class Ray:
    """A Ray cluster: one task per item, begun again elsewhere when its process or node is lost.

    Datasets and results are written here; models must lie where every node finds them.

    Attributes:
        workers: tasks that may wait or run at a time.
        address: of the cluster; `auto` is the one that is running here, `local` starts one on this machine.
    """

    workers: int = 1
    address: str = "auto"

    def map(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """See `Engine.map`.

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


def make_engine(name: str, workers: int, address: str) -> Engine:
    """The engine of that name.

    Raises:
        UserError: there is none.
    """
    if name == "ray":
        return Ray(workers, address)
    if name == "local":
        return Local(workers)
    raise UserError(f"no engine {name!r}{nearest(name, list(ENGINES))}")
