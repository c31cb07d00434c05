"""Layers prepared for planning with torch: gathered weights, reduced precision, reused buffers."""

import threading

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from world_models.dynamics.ensemble import attend
from world_models.dynamics.kernels import Kernel

CACHED = 2**20
"""Numbers in the widest layer that a core works on at once: more do not fit into its cache, and take a third
longer each."""

WORTHWHILE = 512
"""Rows for each core: with fewer, a second one costs as much as it gains."""


class Layers:
    """B blocks side by side, one product per layer.

    In bfloat16 the biases are columns of the weights: one hidden unit is always one. Added apart they cost a
    quarter of a small product. Rows first, hidden units are [B R m] instead of [B m R]: matrix units are faster at it.

    Args:
        weights: [B m n] of each layer.
        biases: [B m 1] of each layer.
        reads: feature columns of each block.
        one: the feature that is always one; the one before it is always zero.
        kernel: how they are multiplied; its precision is that of the results too.
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
        kernel: Kernel,
        attention: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.dtype, self._folded = kernel.dtype, kernel.precision == "bfloat16"
        if self._folded:
            weights = [
                _folded(weight, bias, i + 1 == len(weights))
                for i, (weight, bias) in enumerate(zip(weights, biases, strict=True))
            ]
            reads = pad(reads, (0, 1), value=one)
            if attention:  # it neither hears nor changes the unit that is always one
                attention = pad(attention[0], (0, 1)), pad(attention[1], (0, 0, 0, 1))
        if kernel.multiple > 1 and attention is None:
            reads = pad(reads, (0, -reads.shape[1] % kernel.multiple), value=one - 1)
            weights, biases = _widened(weights, biases, kernel.multiple)
        last = len(weights) - 1
        self._turned = [kernel.rows_first and attention is None and i < last for i in range(len(weights))]
        self._weights = [
            (weight.mT if turn else weight).to(kernel.dtype).contiguous()
            for weight, turn in zip(weights, self._turned, strict=True)
        ]
        self._biases = [
            (bias.mT if turn else bias).to(kernel.dtype).contiguous()
            for bias, turn in zip(biases, self._turned, strict=True)
        ]
        self._widths = [weight.shape[1] for weight in weights]
        self._attention = attention and tuple(part.to(kernel.dtype).contiguous() for part in attention)
        self._reads = reads.flatten()
        self.keeps = True
        self._buffers = _Buffers()

    def __call__(self, inputs: Float[Tensor, "P F R"]) -> Float[Tensor, "B Y R"]:
        """The outputs of all blocks; in a buffer that is kept, unless a gradient is asked for."""
        x = inputs.to(self.dtype).index_select(1, self._reads)
        x = x.view(self._weights[0].shape[0], -1, inputs.shape[2])
        fresh = inputs.requires_grad or not self.keeps
        keep = [None] * len(self._weights) if fresh else self._kept(inputs.shape[2])
        for i in range(len(self._weights)):
            first, second = self._operands(i, x)
            if self._folded:
                x = torch.bmm(first, second, out=keep[i])
            else:
                x = torch.baddbmm(self._biases[i], first, second, out=keep[i])
            if i < len(self._weights) - 1:
                x = rectified(x)
            if i == 0 and self._attention:
                x = attend(x, *self._attention)
        return x

    def multiply(self, steps: int, rows: int) -> None:
        """The products of so many steps, and nothing else: what a speed is compared with."""
        weights, keep = self._weights, self._kept(rows)
        inputs = weights[0].shape[1 if self._turned[0] else 2]
        x = weights[0].new_zeros(weights[0].shape[0], inputs, rows)
        for _ in range(steps):
            for i in range(len(weights)):
                first, second = self._operands(i, x if i == 0 else keep[i - 1])
                torch.bmm(first, second, out=keep[i])

    def rows_at_once(self, rows: int) -> int:
        """How many of so many rows are best given at once: what fits into a core's caches, as many times as
        there are cores; or all on a GPU.
        """
        if self._weights[0].is_cuda:
            return rows
        widest = self._weights[0].shape[0] * max(self._widths)
        cores = min(torch.get_num_threads(), max(1, rows // WORTHWHILE))
        turns = -(-rows // (cores * max(64, CACHED // widest)))
        return -(-rows // (cores * turns))

    def _operands(self, i: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """What layer i multiplies: its weights and x, or x and its weights, with rows where they belong."""
        weight = self._weights[i]
        if self._turned[i]:
            return (x.mT if i == 0 else x), weight
        return weight, (x.mT if i > 0 and self._turned[i - 1] else x)

    def _kept(self, rows: int) -> list[Tensor]:
        """Buffers for so many rows: memory asked for anew costs more than what is done with it."""
        kept = self._buffers
        if kept.rows != rows:
            blocks = self._weights[0].shape[0]
            if not kept.flat or len(kept.flat[0]) < blocks * self._widths[0] * rows:
                kept.flat = [self._weights[0].new_empty(blocks * width * rows) for width in self._widths]
            kept.views = [
                flat[: blocks * width * rows].view((blocks, rows, width) if turned else (blocks, width, rows))
                for flat, width, turned in zip(kept.flat, self._widths, self._turned, strict=True)
            ]
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


def _widened(weights: list[Tensor], biases: list[Tensor], multiple: int) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and hidden units padded to a multiple, with zeros: what is computed stays the same."""
    more = [(-weight.shape[2] % multiple, -weight.shape[1] % multiple) for weight in weights]
    more[-1] = (more[-1][0], 0)
    wide = [pad(weight, (0, n, 0, m)) for weight, (n, m) in zip(weights, more, strict=True)]
    return wide, [pad(bias, (0, 0, 0, m)) for bias, (_, m) in zip(biases, more, strict=True)]


def rectified(x: Tensor) -> Tensor:
    """The positive part, in place."""
    if x.dtype == torch.bfloat16 and x.device.type == "cpu" and not x.requires_grad:
        # Numbers below zero are integers below zero too, and six times faster to find as such.
        torch.relu_(x.view(torch.int16))
        return x
    return torch.relu_(x)
