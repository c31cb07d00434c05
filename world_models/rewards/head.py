"""One task's reward and success, and the labels that they are fitted to."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.basis import Atoms
from world_models.rewards.boxes import Box
from world_models.rewards.places import Place
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import ResidualNet


@dataclass(frozen=True)
class Labels:
    """Labelled transitions of one task."""

    obs: Float[Tensor, "N O"]
    actions: Float[Tensor, "N A"]
    next_obs: Float[Tensor, "N O"]
    reward: Float[Tensor, " N"]
    success: Bool[Tensor, " N"]


@dataclass(frozen=True, eq=False)
class Head:
    """One task's reward and success.

    Attributes:
        atoms: [M F]; the reward is a sum of M products of F atoms.
        weights: of the products, and the constant.
        boxes: [U]; a state in any of them is a success.
        residual: network of what the products leave over.
        success_net: network of success instead of the boxes.
        reward_error: share of the variance of held-out reward labels that the head gets wrong.
        success_error: share of held-out states whose success the head gets wrong.
        places: whose distances the terms and boxes read, beside the layout's own quantities.
    """

    atoms: Atoms
    weights: Float[Tensor, " W"]
    boxes: Box
    residual: ResidualNet | None
    success_net: ResidualNet | None
    reward_error: float
    success_error: float
    places: tuple[Place, ...] = ()

    def quantities(self, layout: Layout, device: torch.device | str = "cpu") -> Quantities:
        """The quantities that the head reads."""
        return Quantities.of(layout, device, self.places)

    def reward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Reward of transitions given by their quantities."""
        total = self.atoms(x).prod(dim=-1) @ self.weights[:-1] + self.weights[-1]
        return total if self.residual is None else total + self.residual(x)

    def success(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b"]:
        """Probability of success of states given by their quantities."""
        if self.success_net is not None:
            return torch.sigmoid(self.success_net(x))
        return self.boxes(x).amax(dim=-1)

    def to(self, device: torch.device) -> "Head":
        """The same head on another device."""

        def moved(net: ResidualNet | None) -> ResidualNet | None:
            return None if net is None else net.to(device)

        return replace(
            self,
            atoms=Atoms(*(part.to(device) for part in vars(self.atoms).values())),
            weights=self.weights.to(device),
            boxes=Box(*(part.to(device) for part in vars(self.boxes).values())),
            residual=moved(self.residual),
            success_net=moved(self.success_net),
        )

    def reading(self, places: tuple[Place, ...], quantities: Quantities) -> "Head":
        """The same head as a reader of the quantities of more places than its own."""
        if self.places == places:
            return self
        first = quantities.places.start
        index = torch.arange(first + len(self.places), device=self.weights.device)
        index[first:] = first + torch.tensor([places.index(place) for place in self.places], dtype=torch.long)
        atoms = replace(self.atoms, quantity=index[self.atoms.quantity])
        boxes = replace(self.boxes, quantity=index[self.boxes.quantity])
        return replace(self, atoms=atoms, boxes=boxes, places=places)

    def describe(self, layout: Layout) -> list[str]:
        """The terms in words, the constant last."""
        names = self.quantities(layout).names
        kinds = (
            "|x - {t:.3g}|",
            "[|x - {t:.3g}| < {w:.3g}]",
            "exp(-|x - {t:.3g}| / {w:.3g})",
            "(x - {t:.3g})^2",
        )
        lines = []
        for m, weight in enumerate(self.weights[:-1].tolist()):
            rows = zip(*(part[m].tolist() for part in vars(self.atoms).values()), strict=True)
            factors = [f"{kinds[k]} of {names[q]}".format(t=t, w=w) for q, k, t, w in rows if w < torch.inf]
            lines.append(f"{weight:+.3g} {' times '.join(factors)}")
        return [*lines, f"{float(self.weights[-1]):+.3g}"]
