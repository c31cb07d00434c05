"""Whole roll-outs in one call of C.

One small decision in torch is mostly dispatch: some thirty operations for each of its 45 steps. Here a roll-out is one
call, and a row computes only the blocks whose gate is open for it. `rollout.c` says how.
"""

import ctypes
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from world_models.dynamics.blocks import BENT, NEAR, REACH, Features
from world_models.dynamics.compiled import library
from world_models.dynamics.features import FADE, FAINT, Scales
from world_models.dynamics.precision import Precision
from world_models.errors import ModelError
from world_models.layout import Layout

_INTEGERS = (
    "members", "blocks", "columns", "actions", "objects", "rooms", "angles", "turned", "inputs", "layers", "outputs",
    "together", "reduced",
)  # fmt: skip
_NUMBERS = ("near", "bent", "reach", "fade", "faint")
_ARRAYS = (
    "sizes", "weights", "biases", "reads", "shift", "stretch", "probed", "probe_shift", "probe_stretch", "angle",
    "axes", "moved_from", "moved", "moves", "low", "high",
)  # fmt: skip


class _Model(ctypes.Structure):
    """`Model` of rollout.c."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in _INTEGERS),
        *((name, ctypes.c_float) for name in _NUMBERS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    ]


class NativeRollout:
    """The members of an ensemble, packed for `rollout.c`; on a processor, without gradients.

    Args:
        layout: columns and bodies.
        scales: of the features.
        weights: [PK m n] of each layer, member by member.
        biases: [PK m 1] of each layer.
        reads: [K I] feature columns of each block.
        moves: [O KY], how far one unit of each output moves each column.
        low: of each column, or minus infinity.
        high: of each column, or infinity.
        members: P.
        together: whether all members go on from their mean.
        precision: of the products; states are float32 whatever it is.

    Raises:
        ModelError: there is no C compiler.
    """

    def __init__(
        self, layout: Layout, scales: Scales, weights: list[Tensor], biases: list[Tensor],
        reads: Tensor, moves: Tensor, low: Tensor, high: Tensor, members: int, together: bool,
        precision: Precision,
    ) -> None:  # fmt: skip
        functions = library()
        if functions is None:
            raise ModelError("roll-outs in C need a C compiler such as gcc; there is none")
        self._functions, wide = functions, int(functions.units())
        self.members = members
        reduced = precision == "bfloat16"
        if reads.shape[1] % 2:
            reads = pad(reads, (0, 1), value=Features.of(layout).zero)
            weights = [pad(weights[0], (0, 1)), *weights[1:]]
        entries = moves.T.nonzero()
        sizes = [reads.shape[1], *(weight.shape[1] for weight in weights)]
        self._kept: dict[str, Tensor] = {
            "sizes": torch.tensor(sizes),
            "weights": torch.cat([_packed(weight, wide, reduced) for weight in weights], dim=1),
            "biases": torch.cat([_padded(bias, wide).flatten(1) for bias in biases], dim=1),
            "reads": reads,
            "shift": scales.shift, "stretch": scales.stretch,
            "probed": scales.probed, "probe_shift": scales.probe_shift, "probe_stretch": scales.probe_stretch,
            "angle": torch.tensor(layout.angles), "axes": torch.tensor(layout.axes),
            "moved_from": torch.searchsorted(entries[:, 0].contiguous(), torch.arange(moves.shape[1] + 1)),
            "moved": entries[:, 1],
            "moves": moves.T[entries[:, 0], entries[:, 1]],
            "low": low, "high": high,
        }  # fmt: skip
        for name, values in self._kept.items():
            kind = torch.float32 if values.is_floating_point() else torch.int32
            self._kept[name] = values.to(kind).contiguous()
        numbers: dict[str, Any] = {
            "members": members, "blocks": len(reads), "columns": layout.obs_size, "actions": layout.action_size,
            "objects": len(layout.objects), "rooms": len(scales.probed) - 3 * len(layout.objects),
            "angles": len(layout.angles), "turned": int(bool(layout.axes)), "inputs": reads.shape[1],
            "layers": len(weights), "outputs": weights[-1].shape[1], "together": int(together),
            "reduced": int(reduced),
            "near": -BENT / NEAR, "bent": BENT, "reach": REACH, "fade": FADE, "faint": FAINT,
        }  # fmt: skip
        self._model = _Model(**numbers, **{name: kept.data_ptr() for name, kept in self._kept.items()})

    def __call__(
        self, obs: Float[Tensor, "R O"], plans: Float[Tensor, "H A R"]
    ) -> Float[Tensor, "points P O R"]:
        """Follow R plans, each from its own observation.

        Raises:
            MemoryError: there is none left.
        """
        plans = plans.float().contiguous()  # C reads and writes this format alone
        path = plans.new_empty(len(plans) + 1, self.members, obs.shape[1], len(obs))
        path[0] = rearrange(obs, "r o -> o r")
        plans_at, path_at = ctypes.c_void_p(plans.data_ptr()), ctypes.c_void_p(path.data_ptr())
        sizes = ctypes.c_int32(len(plans)), ctypes.c_int64(len(obs))
        _succeed(self._functions.follow(ctypes.byref(self._model), plans_at, path_at, *sizes))
        return path

    def multiply(self, steps: int, rows: int) -> None:
        """The products of so many steps of all blocks, and nothing else: what a speed is compared with.

        Raises:
            MemoryError: there is none left.
        """
        sizes = ctypes.c_int32(steps), ctypes.c_int64(rows)
        _succeed(self._functions.multiply(ctypes.byref(self._model), *sizes))


def _succeed(failed: int) -> None:
    if failed:
        raise MemoryError("no memory for a roll-out")


def in_c() -> tuple[Precision, ...]:
    """The precisions in which roll-outs are worth computing in C here."""
    functions = library()
    if functions is None or not functions.fuses():
        return ()
    return ("float32", "bfloat16") if functions.reduces() else ("float32",)


def _padded(x: Float[Tensor, "B m n"], wide: int) -> Float[Tensor, "B M n"]:
    """With as many more units of zero as make their number divisible."""
    return pad(x, (0, 0, 0, -x.shape[1] % wide))


def _packed(weight: Float[Tensor, "B m n"], wide: int, reduced: bool) -> Tensor:
    """So many units side by side, [B M]; in bfloat16 with every two inputs in the place of one."""
    weight = _padded(weight, wide)
    if not reduced:
        return rearrange(weight, "b (i u) n -> b (i n u)", u=wide)
    pairs = pad(weight, (0, weight.shape[2] % 2)).to(torch.bfloat16)
    return (
        rearrange(pairs, "b (i u) (n two) -> b (i n u two)", u=wide, two=2).contiguous().view(torch.float32)
    )
