"""Layers prepared for planning: gathered weights, reduced precision, reused buffers."""

import threading
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from world_models.dynamics.ensemble import attend
from world_models.errors import ModelError

CACHED = 2**20
"""Numbers in the widest layer that a core works on at once: more do not fit into its cache, and take a third
longer each."""

WORTHWHILE = 512
"""Rows for each core: with fewer, a second one costs as much as it gains."""


class Layers:
    """B blocks side by side, one product per layer.

    In bfloat16 the biases are columns of the weights: one hidden unit is always one. Added apart they cost a
    quarter of a small product.

    Args:
        weights: [B m n] of each layer.
        biases: [B m 1] of each layer.
        reads: feature columns of each block.
        one: the feature that is always one.
        dtype: of the products, and of the results.
        attention: weights of each particle's attention after the first layer, see `attend`; None for none.

    Attributes:
        keeps: whether results lie in buffers that the next call overwrites.
    """

    def __init__(
        self,
        weights: list[Tensor],
        biases: list[Tensor],
        reads: Int[Tensor, "K I"],
        one: int,
        dtype: torch.dtype,
        attention: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.dtype, self._folded = dtype, dtype == torch.bfloat16
        if self._folded:
            weights = [
                _folded(weight, bias, i + 1 == len(weights))
                for i, (weight, bias) in enumerate(zip(weights, biases, strict=True))
            ]
            reads = torch.cat([reads, torch.full_like(reads[:, :1], one)], dim=1)
            if attention:  # it neither hears nor changes the unit that is always one
                attention = pad(attention[0], (0, 1)), pad(attention[1], (0, 0, 0, 1))
        self._weights = [weight.to(dtype).contiguous() for weight in weights]
        self._biases = [bias.to(dtype).contiguous() for bias in biases]
        self._attention = attention and tuple(part.to(dtype).contiguous() for part in attention)
        self._reads = reads.flatten()
        self.keeps = True
        self._buffers = _Buffers()

    def __call__(self, inputs: Float[Tensor, "P F R"]) -> Float[Tensor, "B Y R"]:
        """The outputs of all blocks; in a buffer that is kept, unless a gradient is asked for."""
        x = inputs.to(self.dtype).index_select(1, self._reads)
        x = x.view(self._weights[0].shape[0], -1, inputs.shape[2])
        fresh = inputs.requires_grad or not self.keeps
        keep = [None] * len(self._weights) if fresh else self._kept(inputs.shape[2])
        for i, weight in enumerate(self._weights):
            if self._folded:
                x = torch.bmm(weight, x, out=keep[i])
            else:
                x = torch.baddbmm(self._biases[i], weight, x, out=keep[i])
            if i < len(self._weights) - 1:
                x = rectified(x)
            if i == 0 and self._attention:
                x = attend(x, *self._attention)
        return x

    def rows_at_once(self, rows: int) -> int:
        """How many of so many rows are best given at once: what fits into a core's caches, as many times as
        there are cores; or all on a GPU.
        """
        if self._weights[0].is_cuda:
            return rows
        widest = max(weight.shape[0] * weight.shape[1] for weight in self._weights)
        cores = min(torch.get_num_threads(), max(1, rows // WORTHWHILE))
        turns = -(-rows // (cores * max(64, CACHED // widest)))
        return -(-rows // (cores * turns))

    def _kept(self, rows: int) -> list[Tensor]:
        """Buffers for so many rows: memory asked for anew costs more than what is done with it."""
        kept = self._buffers
        if kept.rows != rows:
            sizes = [weight.shape[0] * weight.shape[1] * rows for weight in self._weights]
            if not kept.flat or len(kept.flat[0]) < sizes[0]:
                kept.flat = [w.new_empty(n) for w, n in zip(self._weights, sizes, strict=True)]
            parts = zip(kept.flat, self._weights, sizes, strict=True)
            kept.views = [flat[:n].view(*weight.shape[:2], rows) for flat, weight, n in parts]
            kept.rows = rows
        return kept.views


class _Buffers(threading.local):
    """Each thread's own."""

    def __init__(self) -> None:
        self.rows = 0
        self.flat: list[Tensor] = []
        self.views: list[Tensor] = []


def _folded(weight: Float[Tensor, "B m n"], bias: Float[Tensor, "B m 1"], last: bool) -> Tensor:
    """Weights with the bias as one more column, and but in the last layer one more unit that is always one."""
    wide = torch.cat([weight, bias], dim=2)
    if last:
        return wide
    unit = torch.zeros_like(wide[:, :1])
    unit[:, :, -1] = 1.0
    return torch.cat([wide, unit], dim=1)


def rectified(x: Tensor) -> Tensor:
    """The positive part, in place."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu" and not x.requires_grad:
        # Numbers below zero are integers below zero too, and six times faster to find as such.
        torch.relu_(x.view(torch.int16))
        return x
    return torch.relu_(x)


Precision = Literal["float32", "bfloat16", "auto"]

BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")
"""Instructions of a processor that multiply bfloat16 at least as fast as float32; large products twice as fast."""

AMPERE = (8, 0)
"""The first generation of GPUs whose tensor cores multiply bfloat16."""


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of weights and hidden layers; states, rewards and statistics are float32 whatever it is.

    `auto` is bfloat16 where the device has instructions for it, and float32 elsewhere, where bfloat16 would be many
    times slower. The same machine always gets the same: a measurement would flip where both are about as fast.

    Raises:
        ModelError: no such precision.
    """
    if precision not in get_args(Precision):
        raise ModelError(f"no precision {precision!r}; there are {', '.join(get_args(Precision))}")
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def name_of(dtype: torch.dtype) -> Precision:
    """The precision whose type that is."""
    return "bfloat16" if dtype == torch.bfloat16 else "float32"


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    if device.type != "cpu":
        return False
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 cannot tell
    return any(capabilities.get(unit, False) for unit in BFLOAT16_UNITS)
