"""Soft modularisation: one network of modules, and a second one that says how much each module hears of each other.

Yang et al. 2020, "Multi-task reinforcement learning with soft modularization", section 4. For L layers of n modules,
with f the encoded observation and h the encoded context:

    p^1     = W_d^1 relu(f * h),   p^l+1 = W_d^l+1 relu(W_u^l p^l * (f * h))
    q^l_ij  = exp p^l_ij / sum_j exp p^l_ij
    g^l+1_i = sum_j q^l_ij relu(W_j^l g_j^l),   g^1_j = f
    output  = sum_j W_j^L+1 g_j^L+1

Here f reads the context beside the observation, where the paper's reads the observation alone, so that a network with
one module in each layer, which cannot route, is the plain one that it is compared with.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn


class SoftModules(nn.Module):
    """A network of modules whose routes depend on observation and context.

    Args:
        inputs: O, columns of the observation.
        context: C, columns of the context, which follow those of the observation.
        outputs: Y, output columns.
        modules: n, modules in each layer.
        layers: L, layers of modules, beside the encoder and the output.
        width: D, units of the encoder and of each module.
    """

    def __init__(
        self, inputs: int, context: int, outputs: int, modules: int = 4, layers: int = 2, width: int = 64
    ) -> None:
        super().__init__()
        self._inputs, self._count = inputs, modules
        self.encoder = nn.Sequential(nn.Linear(inputs + context, width), nn.LayerNorm(width), nn.ReLU())
        self.of_context = nn.Linear(context, width)
        self.down = nn.ModuleList(nn.Linear(width, modules**2) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(modules**2, width) for _ in range(layers - 1))
        self.layers = nn.ModuleList(_Layer(modules, width, width) for _ in range(layers))
        self.last = _Layer(modules, width, outputs)

    def forward(self, x: Float[Tensor, "*b I"]) -> Float[Tensor, "*b Y"]:
        """The output for observations, behind which are contexts."""
        f = self.encoder(x)
        g = f[..., None, :].expand(*f.shape[:-1], self._count, f.shape[-1])
        for layer, route in zip(self.layers, self._routes(f, x[..., self._inputs :]), strict=True):
            g = einsum(route, torch.relu(layer(g)), "... i j, ... j d -> ... i d")
        y: Tensor = self.last(g).sum(dim=-2)
        return y

    def routes(self, x: Float[Tensor, "*b I"]) -> list[Float[Tensor, "*b n n"]]:
        """How much module i of the next layer hears of module j, q, for each layer."""
        return self._routes(self.encoder(x), x[..., self._inputs :])

    def _routes(
        self, f: Float[Tensor, "*b D"], context: Float[Tensor, "*b C"]
    ) -> list[Float[Tensor, "*b n n"]]:
        both = f * self.of_context(context)
        logits = [self.down[0](torch.relu(both))]
        for up, down in zip(self.up, self.down[1:], strict=True):
            logits.append(down(torch.relu(up(logits[-1]) * both)))
        return [torch.softmax(rearrange(p, "... (i j) -> ... i j", i=self._count), dim=-1) for p in logits]


class _Layer(nn.Module):
    """One linear layer for each module."""

    def __init__(self, modules: int, inputs: int, outputs: int) -> None:
        super().__init__()
        one = [nn.Linear(inputs, outputs) for _ in range(modules)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in one]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in one]))

    def forward(self, g: Float[Tensor, "*b n I"]) -> Float[Tensor, "*b n D"]:
        """Each module's output for its own input."""
        return einsum(self.weight, g, "n d i, ... n i -> ... n d") + self.bias
