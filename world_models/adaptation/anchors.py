"""Penalties that hold weights near what they were: L2-SP and EWC.

Both add strength / 2 * sum_i F_i (w_i - w0_i)^2 to the loss of a member, with w0 its old weights. L2-SP has F = 1 (Li,
Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with convolutional networks", eq. 2; no
layer is new here, so its second term is empty). EWC has for F the diagonal of the Fisher information of the old data
(Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", eq. 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.training.losses import Loss
from world_models.transitions import Transitions

CHUNK = 32
"""Transitions whose gradients are in memory at once."""

CURVATURE: dict[Loss, float] = {"mse": 2.0, "huber": 1.0}
"""Second derivative of the loss of one column at error zero."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """Old weights, and how strongly each holds.

    Attributes:
        old: weights by name.
        force: strength * F of each of them; infinite ones do not move.
    """

    old: Mapping[str, Tensor]
    force: Mapping[str, Tensor]

    @classmethod
    def of(cls, module: nn.Module, strength: float, importance: Mapping[str, Tensor]) -> "Anchor":
        """The weights that a module has now; only those that learn are held."""
        learned = {name: value for name, value in module.named_parameters() if value.requires_grad}
        # Infinity times zero is no number: what does not matter at all is free even then.
        force = {
            name: torch.where(importance[name] > 0, strength * importance[name], 0.0) for name in learned
        }
        return cls({name: value.detach().clone() for name, value in learned.items()}, force)

    @torch.no_grad()
    def penalty(self, module: nn.Module, members: int) -> Float[Tensor, " E"]:
        """What the penalty is for each member; all weights are stacked along their first axis."""
        now, each = dict(module.named_parameters()), list[Tensor]()
        for name, old in self.old.items():
            gap = (now[name] - old).square()
            held = torch.where(gap > 0, self.force[name] * gap, 0.0)
            each.append(rearrange(held, "(e k) ... -> e (k ...)", e=members).sum(dim=1) / 2)
        return torch.stack(each).sum(dim=0)


class AnchoredAdam(torch.optim.AdamW):
    """Adam on the loss, followed by the exact solution of the penalty.

    A proximal step in Adam's own metric D (Parikh and Boyd 2014, "Proximal algorithms", section 4.2): of

        force / 2 (w - w0)^2 + D / (2 rate) (w - w')^2,   D = sqrt(second moment) + eps,

    with w' where Adam went. It is stable for any force, stays at w0 for an infinite one, and rests where the gradient
    of loss and penalty is zero. A gradient of the penalty within Adam would do none of the first two.

    Args:
        module: what learns.
        anchor: None for plain Adam.
    """

    def __init__(self, module: nn.Module, anchor: Anchor | None = None) -> None:
        learned = {name: value for name, value in module.named_parameters() if value.requires_grad}
        super().__init__(learned.values(), weight_decay=0.0, fused=True)
        self._held = (
            [(learned[name], old, anchor.force[name]) for name, old in anchor.old.items()] if anchor else []
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update."""
        super().step(closure)
        group = self.param_groups[0]
        for value, old, force in self._held:
            if value not in self.state:
                continue
            moments = self.state[value]
            second = moments["exp_avg_sq"] / (1 - group["betas"][1] ** moments["step"])
            rate = group["lr"] / (second.sqrt() + group["eps"])
            value.copy_(old + (value - old) / (1 + rate * force))


def equal_importance(module: nn.Module) -> dict[str, Tensor]:
    """That of L2-SP: one for each weight."""
    return {name: torch.ones_like(value) for name, value in module.named_parameters()}


def fisher(
    dynamics: EnsembleDynamics, data: Transitions, generator: torch.Generator, loss: Loss = "huber"
) -> dict[str, Tensor]:
    """Diagonal Fisher information of each weight that learns, in units of the loss.

    The mean over transitions of

        curvature / O * (d/dw sum_o s_o mean_o)^2,   s_o = +1 or -1 at random.

    In expectation over s this is the sum over columns of squared derivatives, the information of normal errors with
    variance one in normalised changes, for outcomes drawn from the model and not from the data, as the Fisher
    information asks. Times `curvature / O` it is the Gauss-Newton diagonal of the loss, so that a strength of one
    weighs the old data as the new. A gaussian head adds the information of its log-variance, one half for each column.
    """
    learned = {name: value.detach() for name, value in dynamics.named_parameters() if value.requires_grad}
    fixed = {name: value.detach() for name, value in dynamics.named_parameters() if name not in learned}
    members, columns = dynamics.config.members, data.obs.shape[1]
    noisy = dynamics.config.head == "gaussian"

    def drawn(weights: dict[str, Tensor], obs: Tensor, action: Tensor, signs: Tensor) -> Tensor:
        inputs = (x.expand(members, 1, -1) for x in (obs, action))
        mean, logvar = functional_call(dynamics, {**fixed, **weights}, tuple(inputs))
        total: Tensor = CURVATURE[loss] ** 0.5 * (signs[0] * mean).sum()
        return total + 0.5**0.5 * (signs[1] * logvar).sum() if noisy else total

    gradients = vmap(grad(drawn), in_dims=(None, 0, 0, 0))
    found = {name: torch.zeros_like(value) for name, value in learned.items()}
    for start in range(0, len(data), CHUNK):
        obs, actions = (x[start : start + CHUNK] for x in (data.obs, data.actions))
        signs = 2.0 * torch.randint(2, (len(obs), 2, columns), generator=generator) - 1.0
        for name, value in gradients(learned, obs, actions, signs.to(obs)).items():
            found[name] += value.square().sum(dim=0) / (columns * len(data))
    return found
