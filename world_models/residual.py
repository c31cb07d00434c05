"""A small network for what simple atoms do not explain: rewards with products, user code of any kind."""

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
        y: Tensor = self.layers((x - self.centre) / self.scale)
        return y[..., 0]


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
