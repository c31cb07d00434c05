"""In which number format imagined plans are multiplied out: asked for, or chosen by measurement."""

from functools import lru_cache
from time import perf_counter
from typing import Literal, get_args

import torch

from world_models.errors import ModelError

Precision = Literal["float32", "bfloat16", "auto"]

WORTH = 1.2
"""Times faster that bfloat16 products must be for `auto` to take them."""

MEMBERS, WIDTH, ROWS = 8, 64, 96
"""Size of the products by which `auto` chooses: small ones, where the gain is least."""


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of weights and hidden layers; states, rewards and statistics are float32 whatever it is.

    `auto` is bfloat16 where products in it are faster on this device, measured once per process, and float32
    elsewhere: without hardware for it, bfloat16 is many times slower.

    Raises:
        ModelError: no such precision.
    """
    if precision not in get_args(Precision):
        raise ModelError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    if precision == "auto":
        return torch.bfloat16 if _gain(device) >= WORTH else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def name_of(dtype: torch.dtype) -> Precision:
    """The precision whose type that is."""
    return "bfloat16" if dtype == torch.bfloat16 else "float32"


@lru_cache(maxsize=8)
def _gain(device: torch.device) -> float:
    """How many times faster bfloat16 products are than float32 ones, on one core: threads would blur it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(torch.float32, device) / _seconds(torch.bfloat16, device)
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The quickest of several turns: whatever else the machine does can only slow it down."""
    weight = torch.ones(MEMBERS, WIDTH, WIDTH, device=device, dtype=dtype)
    rows = torch.ones(MEMBERS, WIDTH, ROWS, device=device, dtype=dtype)
    out, turns = torch.empty_like(rows), []
    for _ in range(12):
        _wait(device)
        begin = perf_counter()
        for _ in range(8):
            torch.bmm(weight, rows, out=out)
        _wait(device)
        turns.append(perf_counter() - begin)
    return min(turns)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
