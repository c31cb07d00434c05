"""Distributed training with torchrun: each process trains a share of the members.

Members share no gradients, so that there is nothing to send but, after each epoch, what each process has made.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.func import functional_call

from world_models.dynamics.ensemble import EnsembleDynamics, Gaussian
from world_models.errors import ModelError


class PeerLost(ModelError):
    """Another process of the training has ended."""


@dataclass(frozen=True)
class ProcessGroup:
    """Which of how many processes this one is; without any others, the only one.

    Attributes:
        rank: from 0.
        size: of all.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def own(self, count: int, rank: int | None = None) -> range:
        """Which of `count` parts are for this process, or for the one of that rank."""
        rank = self.rank if rank is None else rank
        return range(rank * count // self.size, (rank + 1) * count // self.size)

    def share(self, count: int, *tensors: Tensor) -> None:
        """Give all processes the parts of each: tensors of `count` parts along their first axis, changed in place.

        Raises:
            PeerLost: there are fewer processes than there were.
        """
        for rank in range(self.size if self.size > 1 else 0):
            own = self.own(count, rank)
            for tensor in tensors if own else ():
                rows = len(tensor) // count
                self._send(tensor.detach()[own.start * rows : own.stop * rows], rank)

    def follow(self, value: Tensor) -> Tensor:
        """The first process's numbers, for all.

        Raises:
            PeerLost: as `share`.
        """
        if self.size > 1:
            self._send(value, 0)
        return value

    def _send(self, part: Tensor, rank: int) -> None:
        try:
            distributed.broadcast(part, rank)
        except RuntimeError as error:
            raise PeerLost(
                "another process of this training has ended; run the same command again to go on from the last epoch"
            ) from error


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def process_group(device: str) -> Iterator[tuple[ProcessGroup, str]]:
    """Take part in the training that torchrun began: with NCCL where there are GPUs, else with gloo.

    Args:
        device: what was asked for; `auto` and `cuda` become the GPU of this process.

    Yields:
        The processes, and the device of this one. Without torchrun: one process, and `device` as it is.

    Raises:
        ModelError: more processes than GPUs on this machine.
    """
    if not distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield SINGLE_PROCESS, device
        return
    if device.startswith("cuda:"):
        raise ModelError(
            f"--device {device} is one GPU; with torchrun give cuda, and each process takes its own"
        )
    gpus = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if gpus:
        device = _gpu(int(os.environ["LOCAL_RANK"]), torch.cuda.device_count())
    distributed.init_process_group("nccl" if gpus else "gloo")
    ranks = ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    try:
        yield ranks, "cpu" if device == "auto" else device
        with suppress(RuntimeError):  # who leaves while others are at work is at times aborted on the way out
            distributed.barrier()
    except (PeerLost, KeyboardInterrupt) as end:
        if ranks.first:
            raise
        raise SystemExit(2 if isinstance(end, PeerLost) else 130) from end  # the first says so for all
    finally:
        if not gpus or sys.exception() is None:  # after an error NCCL would wait for the others
            distributed.destroy_process_group()


def _gpu(number: int, there: int) -> str:
    if number >= there:
        raise ModelError(
            f"process {number + 1} of this machine finds {there} GPUs; begin fewer, or give --device cpu"
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"


class MemberShard:
    """A process's part of an ensemble; gradients reach the weights of the whole, and are zero for other members.

    So the optimiser goes over the whole in each process. It costs little beside the products, and each number stays
    where it is in memory: a vector unit rounds differently at the end of an array.

    Args:
        whole: the ensemble.
        own: its members.
    """

    def __init__(self, whole: EnsembleDynamics, own: range) -> None:
        self.layout, self.normalizer = whole.layout, whole.normalizer
        self.config = replace(whole.config, members=len(own))
        self._whole, self._own = whole, own
        self._part = EnsembleDynamics(whole.layout, self.config)  # for its shapes alone

    def __call__(
        self, obs: Float[Tensor, "E B O"], action: Float[Tensor, "E B A"], apart: bool = False
    ) -> Gaussian:
        """As `EnsembleDynamics.forward`; row e goes through the e-th of these members."""
        found: Gaussian = functional_call(self._part, dict(self._tensors()), (obs, action, apart))
        return found

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self._whole.named_parameters():
            rows = len(value) // self._whole.config.members
            yield name, value[self._own.start * rows : self._own.stop * rows]
        yield from self._whole.named_buffers()
