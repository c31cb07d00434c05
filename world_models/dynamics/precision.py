"""Number formats of a model's products."""

from typing import Literal, get_args

import torch

from world_models.errors import ModelError

Precision = Literal["float32", "bfloat16", "auto"]

BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")
"""Instructions of a processor that multiply bfloat16 at least as fast as float32; large products twice as fast."""

AMPERE = (8, 0)
"""The first generation of GPUs whose tensor cores multiply bfloat16."""


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of weights and hidden layers; states, rewards and statistics are float32 whatever it is.

    `auto` is bfloat16 where the device has instructions for it, and float32 elsewhere, where bfloat16 would be many
    times slower.

    Raises:
        ModelError: no such precision.
    """
    if precision not in get_args(Precision):
        raise ModelError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def name_of(dtype: torch.dtype) -> Precision:
    """The precision whose type that is."""
    return "bfloat16" if dtype == torch.bfloat16 else "float32"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    if device.type != "cpu":
        return False
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 cannot tell
    return any(capabilities.get(unit, False) for unit in BFLOAT16_UNITS)
