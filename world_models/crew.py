"""Parts of a batch worked on side by side: one thread for each part, each on a core of its own.

Threads within one product gain little where products are small; whole roll-outs do not wait for each other.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


def each_apart(work: Callable[[Part], Tensor], parts: Sequence[Part]) -> list[Tensor]:
    """The work on every part, without gradients; as many threads as torch was given share it."""

    @torch.no_grad()
    def on_one_core(part: Part) -> Tensor:
        torch.set_num_threads(1)  # it holds for the thread that calls, and is not inherited
        return work(part)

    threads = min(len(parts), torch.get_num_threads())
    if threads == 1:
        return [work(part) for part in parts]
    return list(_crew(threads).map(on_one_core, parts))


@lru_cache(maxsize=1)
def _crew(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="imagination")
