"""Initial weights from which few gradient steps learn a new task: Reptile and first-order MAML.

Reptile (Nichol, Achiam and Schulman 2018, "On first-order meta-learning algorithms", algorithm 1, and with several
tasks at a time, algorithm 2) moves the initial weights w towards those that k steps of an
ordinary optimiser U reach in a task t:

    w <- w + rate * mean over t of (U^k_t(w) - w).

First-order MAML (Finn, Abbeel and Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep networks",
algorithm 2, with the second derivatives left out as in section 5.2) follows the gradient of the loss on *other* data of
the task, at the weights that k steps reach:

    w <- Adam(w, mean over t of grad L'_t(U^k_t(w))).

Both work on any module and any sampler of tasks. The tasks of a batch are learned side by side: each weight gets a
leading axis N of tasks, and `torch.func.vmap` runs all of them at once. Tasks are in
`mbtransfer.transfer.model.meta_tasks`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from einops import reduce, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mbtransfer.errors import UserError

Data = tuple[Tensor, ...]
"""A batch of one task; with a leading axis N, one of each of N tasks."""

Loss = Callable[[nn.Module, Data], Tensor]
"""The loss of a module on a batch of one task, a number."""

Weights = Mapping[str, Tensor]
"""The parameters of a module by name, each with a leading axis N of tasks."""

Optimiser = Callable[[list[Tensor]], torch.optim.Optimizer]
"""Makes the optimiser of a task's weights; one that works element by element, as SGD and Adam do."""

PLAIN: Optimiser = partial(torch.optim.SGD, lr=0.01)
"""That of Finn et al., section 5.1."""


@runtime_checkable
class TaskSampler(Protocol):
    """A distribution of tasks."""

    def __call__(self, tasks: int, batches: int, generator: torch.Generator) -> Sequence[Data]:
        """Draw so many tasks, and so many batches of each; the same tasks in all batches."""


@dataclass(frozen=True)
class MetaConfig:
    """How initial weights are learned.

    Attributes:
        iterations: of the outer loop.
        tasks: tasks in each of them.
        steps: k, gradient steps in a task.
        inner: optimiser of the steps in a task.
        rate: of the outer loop: for Reptile the share of the way at first, falling to zero in a line as in its
            experiments, else the learning rate of Adam.
        reuse: take all steps in a task on its first batch, as few-shot tasks have no other; else each on its own.
    """

    iterations: int = 1000
    tasks: int = 5
    steps: int = 5
    inner: Optimiser = PLAIN
    rate: float = 1e-3
    reuse: bool = False

    def __post_init__(self) -> None:
        if min(self.iterations, self.tasks, self.steps) < 1:
            raise UserError("meta-learning needs at least one iteration, task and step")
        if not 0 < self.rate < float("inf"):
            raise UserError(f"the outer rate must be above 0 and finite, not {self.rate}")


class _Objective(nn.Module):
    """A module and its loss as one function of the weights."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, data: Data) -> Tensor:
        return self._loss(self.module, data)


def spread(module: nn.Module, tasks: int) -> dict[str, Tensor]:
    """A copy of the module's parameters for each task."""
    return {
        name: repeat(weight.detach(), "... -> n ...", n=tasks).clone().requires_grad_()
        for name, weight in module.named_parameters()
    }


def losses(module: nn.Module, loss: Loss, weights: Weights, data: Data) -> Float[Tensor, " N"]:
    """The loss of each task with its own weights on its own batch."""
    objective = _Objective(module, loss)

    def of_one(own: dict[str, Tensor], batch: Data) -> Tensor:
        found: Tensor = functional_call(objective, own, (batch,))
        return found

    found: Tensor = vmap(of_one)({f"module.{name}": weight for name, weight in weights.items()}, data)
    return found


def inner_steps(
    module: nn.Module, loss: Loss, support: Sequence[Data], inner: Optimiser
) -> dict[str, Float[Tensor, "N ..."]]:
    """The weights of each of N tasks after one gradient step on each batch, from those of the module, which stay.

    No gradient leads back from them: first order.
    """
    weights = spread(module, len(support[0][0]))
    _descend(module, loss, weights, support, inner(list(weights.values())))
    return weights


def query_losses(
    module: nn.Module, loss: Loss, support: Sequence[Data], query: Data, inner: Optimiser
) -> Float[Tensor, "curve N"]:
    """The loss of each task on its `query` before the first and after each gradient step on a batch of `support`."""
    weights = spread(module, len(query[0]))
    optimiser, curve = inner(list(weights.values())), []
    for batch in (None, *support):
        if batch is not None:
            _descend(module, loss, weights, [batch], optimiser)
        with torch.no_grad():
            curve.append(losses(module, loss, weights, query))
    return torch.stack(curve)


def reptile(
    module: nn.Module, loss: Loss, sample: TaskSampler, config: MetaConfig, generator: torch.Generator
) -> None:
    """Learn the initial weights of a module in place, by Reptile.

    Raises:
        UserError: the loss diverges.
    """
    for iteration in range(config.iterations):
        support = _support(sample, config, generator, 0)
        reached = inner_steps(module, loss, support, config.inner)
        rate = config.rate * (1 - iteration / config.iterations)
        with torch.no_grad():
            for name, weight in module.named_parameters():
                weight.lerp_(reduce(reached[name], "n ... -> ...", "mean"), rate)
        _check(module, iteration)


def first_order_maml(
    module: nn.Module, loss: Loss, sample: TaskSampler, config: MetaConfig, generator: torch.Generator
) -> None:
    """Learn the initial weights of a module in place, by first-order MAML.

    Raises:
        UserError: the loss diverges.
    """
    parameters = dict(module.named_parameters())
    outer = torch.optim.Adam(parameters.values(), config.rate)
    for iteration in range(config.iterations):
        *support, query = _support(sample, config, generator, 1)
        reached = inner_steps(module, loss, support, config.inner)
        slopes = _slopes(module, loss, reached, query)
        for weight, slope in zip(parameters.values(), slopes, strict=True):
            weight.grad = reduce(slope, "n ... -> ...", "mean")
        outer.step()
        outer.zero_grad(set_to_none=True)
        _check(module, iteration)


def pretrain_jointly(
    module: nn.Module, loss: Loss, sample: TaskSampler, config: MetaConfig, generator: torch.Generator
) -> None:
    """Ordinary pre-training in place: Adam on the mean loss of all tasks (the control of Finn et al., section 5.1).

    It takes as many gradient steps on as many batches as Reptile does in tasks, and does not know of tasks.

    Raises:
        UserError: the loss diverges.
    """
    optimiser = torch.optim.Adam(module.parameters(), config.rate)
    for iteration in range(config.iterations):
        for data in sample(config.tasks, config.steps, generator):
            optimiser.zero_grad(set_to_none=True)
            vmap(partial(loss, module))(data).mean().backward()
            optimiser.step()
        _check(module, iteration)


def _support(
    sample: TaskSampler, config: MetaConfig, generator: torch.Generator, queries: int
) -> Sequence[Data]:
    """The batches of the steps in each task, and behind them so many others."""
    drawn = sample(config.tasks, (1 if config.reuse else config.steps) + queries, generator)
    return [*[drawn[0]] * config.steps, *drawn[1:]] if config.reuse else drawn


def _descend(
    module: nn.Module, loss: Loss, weights: Weights, support: Sequence[Data], optimiser: torch.optim.Optimizer
) -> None:
    for data in support:
        for weight, slope in zip(weights.values(), _slopes(module, loss, weights, data), strict=True):
            weight.grad = slope
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _slopes(module: nn.Module, loss: Loss, weights: Weights, data: Data) -> tuple[Tensor, ...]:
    """The gradient of each task's loss by its own weights: their sum has it, as no task knows the others' weights."""
    return torch.autograd.grad(losses(module, loss, weights, data).sum(), list(weights.values()))


def _check(module: nn.Module, iteration: int) -> None:
    """See now and then that the weights are finite."""
    if iteration % 100 == 0 and not all(bool(weight.isfinite().all()) for weight in module.parameters()):
        raise UserError(f"meta-learning diverged before iteration {iteration}; lower the rates")
