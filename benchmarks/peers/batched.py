"""The ensemble as a careful user writes it for a library that brings planners but no ensemble.

Weights are stacked, one batched product per layer serves all members, the scales are folded into the
weights, and particle p follows member p: nothing is computed that the others do not compute.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.peers.work import Work


class BatchedEnsemble(nn.Module):
    """E networks; row e goes through member e."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(weight, requires_grad=False) for weight, _ in work.layers
        )
        self.biases = nn.ParameterList(nn.Parameter(bias, requires_grad=False) for _, bias in work.layers)

    def forward(self, obs: Float[Tensor, "E B O"], action: Float[Tensor, "E B A"]) -> Float[Tensor, "E B O"]:
        """The next observation."""
        x = torch.cat([obs, action], dim=-1)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = torch.relu_(x)
        return obs + x

    def predict(self, obs: Float[Tensor, "B O"], action: Float[Tensor, "B A"]) -> Float[Tensor, "E B O"]:
        """Every member on the same rows; see `Entry.predict`."""
        members = len(self.weights[0])
        return self(obs.expand(members, -1, -1), action.expand(members, -1, -1))
