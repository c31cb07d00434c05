"""Some members of an ensemble, computed with its own weights."""

from collections.abc import Iterator
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from world_models.ensemble import EnsembleDynamics, Gaussian


class Share:
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
