"""The ensemble as a careful user writes it for a library that brings planners but no ensemble.

Weights are stacked, one batched product per layer serves all members, the scales are folded into the
weights, and particle p follows member p: nothing is computed that the others do not compute. As the network is
the user's, so is its precision: products in bfloat16 are two casts away, so those libraries enter with both.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.peers.work import Work

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class BatchedEnsemble(nn.Module):
    """E networks; row e goes through member e. Observations are float32 whatever the precision of the products."""

    def __init__(self, work: Work, precision: str = "float32") -> None:
        super().__init__()
        weights, biases = zip(*work.layers, strict=True)
        self.weights = nn.ParameterList(nn.Parameter(weight, requires_grad=False) for weight in weights)
        self.biases = nn.ParameterList(nn.Parameter(bias, requires_grad=False) for bias in biases)
        self.to(DTYPES[precision])

    def forward(self, obs: Float[Tensor, "E B O"], action: Float[Tensor, "E B A"]) -> Float[Tensor, "E B O"]:
        """The next observation."""
        x = torch.cat([obs, action], dim=-1).to(self.weights[0].dtype)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = torch.relu_(x)
        return obs + x.float()

    def predict(self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"]) -> Float[Tensor, "E B O"]:
        """Every member on the same rows; see `Entry.predict`."""
        members = len(self.weights[0])
        return self(obs.expand(members, -1, -1), action.expand(members, -1, -1))
