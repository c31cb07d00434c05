"""Residual network for what the basis functions do not explain."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = 64
STEPS = 800


class ResidualNet(nn.Module):
    """Two hidden layers over the quantities of a transition, one output."""

    centre: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.layers = nn.Sequential(
            nn.Linear(size, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1)
        )

    def forward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """The residual of each transition."""
        y: Tensor = self.layers((x[..., : len(self.centre)] - self.centre) / self.scale)
        return y[..., 0]


class StackedNets:
    """S networks side by side, columns before rows."""

    def __init__(self, nets: Sequence[ResidualNet]) -> None:
        linear = [[layer for layer in net.layers if isinstance(layer, nn.Linear)] for net in nets]
        self._centre = torch.stack([net.centre for net in nets])[..., None]
        self._scale = torch.stack([net.scale for net in nets])[..., None]
        self._weights = [
            torch.stack([layer.weight for layer in layers]) for layers in zip(*linear, strict=True)
        ]
        self._biases = [
            torch.stack([layer.bias for layer in layers])[..., None] for layers in zip(*linear, strict=True)
        ]

    def __call__(self, x: Float[Tensor, "*h S Q N"]) -> Float[Tensor, "*h S N"]:
        """The residual of each row, part s by network s."""
        x = (x[..., : self._centre.shape[1], :] - self._centre) / self._scale
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            x = weight @ x + bias
            if i < len(self._weights) - 1:
                x = nn.functional.silu(x)
        return x[..., 0, :]


def fit_residual(
    x: Float[Tensor, "N Q"], y: Float[Tensor, " N"], seed: int, *, binary: bool = False
) -> ResidualNet:
    """Fit by Adam; `binary` fits the log-odds of labels in {0, 1} instead of values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ResidualNet(x.shape[1])
    net.centre.copy_(x.mean(dim=0))
    net.scale.copy_(x.std(dim=0).clamp(min=1e-3))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(x), (256,), generator=generator)
        predicted = net(x[rows])
        if binary:
            loss = nn.functional.binary_cross_entropy_with_logits(predicted, y[rows])
        else:
            loss = nn.functional.mse_loss(predicted, y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.requires_grad_(False).eval()
