"""Ways to compute a roll-out, and which of them is the fastest on this machine for the work at hand.

What is fastest depends on the processor (matrix units, caches), on the widths of the layers and on how many plans
there are: it is measured once, in some tens of milliseconds, and kept in the user's cache folder. Without that file,
or with one that is damaged, it is measured again.
"""

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal

import torch

from world_models.checkpoint.atomic import replacing
from world_models.dynamics.compiled import cache_folder
from world_models.dynamics.precision import Precision, dtype_of, multiplies_bfloat16, name_of

MARGIN = 0.97
"""A kernel is only preferred to an earlier one that takes longer than this share says: in doubt the same one wins."""

MOST_ROWS = 2048
"""Rows that are measured at most; more are given in parts."""

REPEATS, SECONDS = 5, 0.02
"""Times that each kernel runs, unless that takes longer."""


@dataclass(frozen=True)
class Kernel:
    """How the layers are multiplied.

    Attributes:
        engine: `native`, whole roll-outs in C (on a processor, without gradients), or `torch`, one batched product per
            layer.
        precision: number format of the products; states and rewards are float32 whatever it is.
        rows_first: whether torch multiplies rows times weights, instead of weights times columns.
        multiple: of which torch pads the widths of layers, with units of zero.
    """

    engine: Literal["native", "torch"] = "torch"
    precision: Precision = "float32"
    rows_first: bool = False
    multiple: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """The type of weights and hidden layers."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def __str__(self) -> str:
        """In a few words."""
        order = "rows times weights" if self.rows_first else "weights times columns"
        padding = f", padded to multiples of {self.multiple}" if self.multiple > 1 else ""
        return f"{self.precision}, " + ("C" if self.engine == "native" else f"torch, {order}{padding}")


def choices(precision: Precision, device: torch.device, in_c: Sequence[Precision]) -> list[Kernel]:
    """The kernels for a precision; the first is the one to take in doubt.

    Args:
        precision: `auto` for whichever is the fastest.
        device: of the model.
        in_c: precisions in which the model's roll-outs can be computed in C.

    Raises:
        ModelError: no such precision.
    """
    usual = Kernel("torch", name_of(dtype_of(precision, device)))
    if device.type != "cpu":
        return [usual]
    native = [Kernel("native", name) for name in in_c]
    exact = [kernel for kernel in native if kernel.precision == "float32"] or [Kernel("torch", "float32")]
    reduced = [kernel for kernel in native if kernel.precision == "bfloat16"]
    reduced += [
        Kernel("torch", "bfloat16", rows_first, multiple)
        for rows_first in (False, True)
        for multiple in (1, 16, 32)
    ]
    if precision == "auto":
        return exact + (reduced if multiplies_bfloat16(device) else [])
    return reduced if precision == "bfloat16" else exact


def fastest(
    kernels: Sequence[Kernel], work: dict[str, Any], trial: Callable[[Kernel], Callable[[], object]]
) -> Kernel:
    """The kernel that takes the least time, as measured now or before.

    Args:
        kernels: to choose from.
        work: the shapes that decide, by name: under these, the processor and the version of torch the choice is kept.
        trial: gives what is to be timed with a kernel.
    """
    if len(kernels) == 1:
        return kernels[0]
    machine = {"torch": torch.__version__, "processor": " ".join(processor().values())}
    key = json.dumps(machine | work | {"among": [str(kernel) for kernel in kernels]})
    kept = _kept()
    known = {json.dumps(asdict(kernel)): kernel for kernel in kernels}
    if (found := known.get(json.dumps(kept.get(key)))) is not None:
        return found
    with _one_thread():
        best, least = kernels[0], _seconds(trial(kernels[0]))
        for kernel in kernels[1:]:
            if (seconds := _seconds(trial(kernel))) < MARGIN * least:
                best, least = kernel, seconds
    with suppress(OSError), replacing(_file()) as temporary:
        temporary.write_text(json.dumps(_kept() | {key: asdict(best)}, indent=1))
    return best


@contextmanager
def _one_thread() -> Iterator[None]:
    """Each part of a batch has one; and other processes, with more or fewer, then choose alike."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _seconds(work: Callable[[], object]) -> float:
    work()
    taken = list[float]()
    while len(taken) < REPEATS and (len(taken) < 2 or sum(taken) < SECONDS):
        begin = perf_counter()
        work()
        taken.append(perf_counter() - begin)
    return median(taken)


def _file() -> Path:
    return cache_folder() / "kernels.json"


def _kept() -> dict[str, Any]:
    try:
        kept = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


@lru_cache(maxsize=1)
def processor() -> dict[str, str]:
    """Name of the processor where Linux tells it, else of its kind, and the vector instructions that PyTorch uses."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "name": names[0] if names else platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
