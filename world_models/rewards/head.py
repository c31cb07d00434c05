"""One task's reward and success, as fitted: a handful of atoms, a box, and networks where these fall short."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.atoms import Atoms, quantity_names
from world_models.rewards.boxes import Box
from world_models.rewards.residual import ResidualNet


@dataclass(frozen=True, eq=False)
class Head:
    """One task's reward and success.

    Attributes:
        unexplained: share of the variance of held-out reward labels that the head gets wrong.
        misjudged: share of held-out states whose success the head gets wrong.
    """

    atoms: Atoms
    weights: Float[Tensor, " M"]
    box: Box
    residual: ResidualNet | None
    judge: ResidualNet | None
    unexplained: float
    misjudged: float

    def reward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Reward of transitions given by their quantities."""
        total = self.atoms(x) @ self.weights[:-1] + self.weights[-1]
        return total if self.residual is None else total + self.residual(x)

    def success(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Probability of success of states given by their quantities."""
        return self.box(x) if self.judge is None else torch.sigmoid(self.judge(x))

    def to(self, device: torch.device) -> "Head":
        """The same head on another device."""

        def moved(net: ResidualNet | None) -> ResidualNet | None:
            return None if net is None else net.to(device)

        return replace(
            self,
            atoms=Atoms(*(part.to(device) for part in vars(self.atoms).values())),
            weights=self.weights.to(device),
            box=Box(*(part.to(device) for part in vars(self.box).values())),
            residual=moved(self.residual),
            judge=moved(self.judge),
        )

    def describe(self, layout: Layout) -> list[str]:
        """The atoms in words, the constant last."""
        names, kinds = quantity_names(layout), ("|x - t|", "[|x - t| < w]", "exp(-|x - t| / w)")
        columns = (self.atoms.quantity, self.atoms.kind, self.atoms.at, self.atoms.width, self.weights[:-1])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        lines = [f"{w:+.2f} {kinds[k]} of {names[q]}, t={t:.3g} w={r:.3g}" for q, k, t, r, w in rows]
        return [*lines, f"{float(self.weights[-1]):+.2f}"]
