"""Balancing and surgery of the gradients of several tasks' losses on shared parameters.

K tasks share P parameters, and each would have them move its own way, by the gradient g_k of its loss L_k. A combiner
makes one gradient d of the K:

- `sum` and `mean` of the gradients, where the steepest task wins.
- Surgery. `pcgrad` takes from each gradient what points against another one (Yu et al. 2020, "Gradient surgery for
  multi-task learning", algorithm 1). `mgda` takes the shortest convex combination of them, along which no loss rises
  (Désidéri 2012, "Multiple-gradient descent algorithm", theorem 2.2; Sener and Koltun 2018, "Multi-task learning as
  multi-objective optimization", eq. 3 and algorithm 2). These and the rest of `SURGERY` are TorchJD's (Quinton and Rey
  2024, "Jacobian descent for multi-objective optimization", which compares them in section 2.2 and table 1).
- Weights of the losses, learned beside the network: `gradnorm` and `uncertainty`, the classes below.

All gradients come from one batched backward pass, of about as many operations as that of the summed loss.
"""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from tasks.spec import nearest

TINY = 1e-12

MEMORY = (0.9, 0.9)
"""Adam's, for weights of losses: gradients of these shrink as they settle, and a long memory of the first ones would
hold them back. With both alike, a step is never longer than the learning rate."""


@runtime_checkable
class Combiner(Protocol):
    """Makes one gradient of those of K tasks. It may learn from one call to the next: make one for each training."""

    def __call__(self, losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
        """The gradient that the shared parameters follow."""
        ...


def plain_sum(losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
    """The gradient of the summed loss."""
    return gradients.sum(dim=0)


def plain_mean(losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
    """The gradient of the mean loss."""
    return gradients.mean(dim=0)


class GradNorm:
    """Weights under which tasks that learn slowly have long gradients (Chen et al. 2018, "GradNorm", eq. 1 and 2).

    With r_k = (L_k / L_k(0)) / mean of the same, the weights w descend

        sum_k | |w_k g_k| - mean_j |w_j g_j| r_k^alpha |,   the second term held fixed.

    w = K softmax(v), so that weights stay positive and sum to K, as the paper's do by division; v follows Adam. The
    norms are of all shared parameters, as we have these gradients anyway; the paper takes the last layer for speed.

    Args:
        tasks: K.
        alpha: how strongly slow tasks are favoured; 0 makes all gradients equally long.
        rate: learning rate of v.
        device: where the losses are.
    """

    def __init__(
        self, tasks: int, alpha: float = 1.5, rate: float = 0.025, device: torch.device | str = "cpu"
    ) -> None:
        self._alpha = alpha
        self._logits = torch.zeros(tasks, device=device, requires_grad=True)
        self._optimiser = torch.optim.Adam([self._logits], rate, MEMORY)
        self._first: Tensor | None = None

    @property
    def weights(self) -> Float[Tensor, " K"]:
        """The weight of each loss."""
        return len(self._logits) * torch.softmax(self._logits, dim=0)

    def __call__(self, losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
        """See `Combiner`."""
        if self._first is None:
            self._first = losses.clamp(min=TINY)
        left = losses / self._first
        pace = left / left.mean().clamp(min=TINY)
        weights = self.weights
        norms = weights * gradients.norm(dim=1)
        aim = norms.mean().detach() * pace**self._alpha
        common = weights.detach() @ gradients
        self._optimiser.zero_grad()
        (norms - aim).abs().sum().backward()
        self._optimiser.step()
        return common


class UncertaintyWeighting:
    """Weights from each task's noise (Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty", eq. 7).

    Network and variances descend the same loss, sum_k L_k / (2 sigma_k^2) + log sigma_k, in s_k = log sigma_k^2. Where
    the network has settled, sigma_k^2 = L_k, whatever units the task is in.

    Args:
        tasks: K.
        rate: learning rate of s: a factor of e in sigma^2 takes at least 1 / rate steps.
        device: where the losses are.
    """

    def __init__(self, tasks: int, rate: float = 0.02, device: torch.device | str = "cpu") -> None:
        self._log_variance = torch.zeros(tasks, device=device, requires_grad=True)
        self._optimiser = torch.optim.Adam([self._log_variance], rate, MEMORY)

    @property
    def variance(self) -> Float[Tensor, " K"]:
        """sigma^2 of each task."""
        return self._log_variance.detach().exp()

    def __call__(self, losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
        """See `Combiner`."""
        weights = 0.5 * torch.exp(-self._log_variance)
        common = weights.detach() @ gradients
        self._optimiser.zero_grad()
        (weights * losses + 0.5 * self._log_variance).sum().backward()
        self._optimiser.step()
        return common


class Surgeon:
    """One of TorchJD's aggregators, with randomness of its own: TorchJD draws from the global generator.

    Args:
        aggregator: maps gradients [K P] to one [P].
        seed: of what it draws.
    """

    def __init__(self, aggregator: Callable[[Tensor], Tensor], seed: int) -> None:
        self._aggregator, self._generator = aggregator, torch.Generator().manual_seed(seed)

    def __call__(self, losses: Float[Tensor, " K"], gradients: Float[Tensor, "K P"]) -> Float[Tensor, " P"]:
        """See `Combiner`."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._generator.get_state())
            common = self._aggregator(gradients)
            self._generator.set_state(torch.get_rng_state())
        return common


SURGERY: dict[str, Callable[[Any], Callable[[Tensor], Tensor]]] = {
    "pcgrad": lambda torchjd: torchjd.PCGrad(),
    "mgda": lambda torchjd: torchjd.MGDA(),
    "upgrad": lambda torchjd: torchjd.UPGrad(),
    "dual_proj": lambda torchjd: torchjd.DualProj(),
    "cagrad": lambda torchjd: torchjd.CAGrad(c=0.4),
    "imtl_g": lambda torchjd: torchjd.IMTLG(),
    "aligned_mtl": lambda torchjd: torchjd.AlignedMTL(),
    "grad_vac": lambda torchjd: torchjd.GradVac(),
    "grad_drop": lambda torchjd: torchjd.GradDrop(),
    "con_fig": lambda torchjd: torchjd.ConFIG(),
}
"""By name: makes an aggregator of TorchJD's, with its default settings; CAGrad has none, and c is its paper's.

NashMTL is left out: it solves up to twenty conic programs per update.
"""

OWN: dict[str, Callable[[int, torch.device | str], Combiner]] = {
    "sum": lambda tasks, device: plain_sum,
    "mean": lambda tasks, device: plain_mean,
    "gradnorm": lambda tasks, device: GradNorm(tasks, device=device),
    "uncertainty": lambda tasks, device: UncertaintyWeighting(tasks, device=device),
}
"""By name: makes a combiner that needs no other library."""

COMBINERS = (*OWN, *SURGERY)
"""The names of all combiners."""


def check_combiner(name: str) -> None:
    """Refuse a name that is not one of `COMBINERS`.

    Raises:
        UserError: there is no such combiner.
    """
    if name not in COMBINERS:
        raise UserError(f"no combiner of gradients {name!r}{nearest(name, [*COMBINERS])}")


def make_combiner(name: str, tasks: int, seed: int = 0, device: torch.device | str = "cpu") -> Combiner:
    """A fresh combiner of that name for K tasks.

    Raises:
        UserError: there is no such combiner, or the library behind it is not installed.
    """
    check_combiner(name)
    if name in OWN:
        return OWN[name](tasks, device)
    try:
        return Surgeon(SURGERY[name](_torchjd()), seed)
    except ImportError as error:  # TorchJD itself, or the solver that some of its aggregators need
        raise UserError(
            f"combiner {name!r} needs TorchJD and its solvers: pip install 'mbtransfer[transfer]'"
        ) from error


def _torchjd() -> ModuleType:
    from torchjd import aggregation

    return aggregation


Weights = Mapping[str, nn.Parameter]
TaskLoss = Callable[..., Tensor]
"""Maps shared weights, a task's own weights (by name) and a task's data to its loss, a scalar."""


def task_gradients(
    loss: TaskLoss, shared: Weights, own: Weights, data: Sequence[Tensor]
) -> tuple[Float[Tensor, " K"], dict[str, Tensor], dict[str, Tensor]]:
    """The loss of each task, and its gradients in the shared and in its own weights, all [K, ...].

    Args:
        loss: of one task.
        shared: the weights of all tasks.
        own: the weights of single tasks, [K, ...].
        data: what else each loss depends on, [K, ...].
    """
    each = torch.func.vmap(
        torch.func.grad_and_value(loss, argnums=(0, 1)), in_dims=(None, 0, *(0 for _ in data))
    )
    plain, single = ({name: p.detach() for name, p in weights.items()} for weights in (shared, own))
    (gradients, of_own), losses = each(plain, single, *data)
    return losses, gradients, of_own


def set_gradients(
    combiner: Combiner, loss: TaskLoss, shared: Weights, own: Weights, data: Sequence[Tensor]
) -> Float[Tensor, " K"]:
    """Set `grad` of all weights, for a step of an optimiser, and return the losses.

    Shared weights follow the combiner, and each task's own weights their own loss: they are in nobody's way.

    Args:
        combiner: makes one gradient of K.
        loss: of one task.
        shared: the weights of all tasks.
        own: the weights of single tasks, [K, ...].
        data: what else each loss depends on, [K, ...].
    """
    if combiner is plain_sum:  # needs no gradient of a single task
        return _sum_backward(loss, shared, own, data)
    losses, gradients, of_own = task_gradients(loss, shared, own, data)
    rows = torch.cat([gradients[name].flatten(1) for name in shared], dim=1)
    parts = combiner(losses, rows).split([weights.numel() for weights in shared.values()])
    for weights, part in zip(shared.values(), parts, strict=True):
        weights.grad = part.view_as(weights)
    for name, weights in own.items():
        weights.grad = of_own[name]
    return losses


def _sum_backward(
    loss: TaskLoss, shared: Weights, own: Weights, data: Sequence[Tensor]
) -> Float[Tensor, " K"]:
    """`set_gradients` of the summed loss, by ordinary automatic differentiation."""
    for weights in (*shared.values(), *own.values()):
        weights.grad = None
    each = torch.func.vmap(loss, in_dims=(None, 0, *(0 for _ in data)))
    losses = each(dict(shared), dict(own), *data)
    losses.sum().backward()
    return losses.detach()
