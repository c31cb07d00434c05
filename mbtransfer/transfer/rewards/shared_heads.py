"""Transfer by shared features of rewards: one network for the rewards of all source tasks, its last layer for a target.

The heads of the K source tasks share a trunk phi over the quantities of a transition, and each has an output layer w_k
of its own (Caruana 1997, "Multitask learning", section 2; hard parameter sharing). They are trained together,

    min over phi and all w_k of  L_1 .. L_K,   L_k = mean over labels of (phi(s, a, s') w_k - r_k)^2,

by a combiner of the tasks' gradients (`mbtransfer.transfer.rewards.gradient_surgery`). In a target only w is fitted, by
ridge regression on phi of its labels, and the planner plans in the pooled model for phi w.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.mpc.controller import PARTICLES, PLANNER, model_controller
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.rewards.gradient_surgery import check_combiner, make_combiner, set_gradients
from mbtransfer.transfer.value.successor_features import reward_weights
from tasks.task import Task, simple_parts
from world_models.layout import Layout
from world_models.rewards.basis import Atoms
from world_models.rewards.boxes import find_boxes
from world_models.rewards.head import Head, Labels
from world_models.rewards.heads import LEAST, RewardHeads
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import ResidualNet

CONSTANT = 1e-6
"""Standard deviation below which a quantity counts as constant."""


@dataclass(frozen=True)
class SharedHeadsConfig:
    """Settings of the training.

    Attributes:
        combiner: makes one gradient of those of all tasks; see `gradient_surgery.COMBINERS`.
        updates: number of updates.
        batch: labelled transitions of each task per update.
        width: units of each hidden layer.
        rate: highest learning rate.
        standardised: bring the labels of each source task to mean 0 and variance 1.
        ridge: penalty of a target's weights, as in `successor_features.reward_weights`.

    Raises:
        UserError: there is no such combiner.
    """

    combiner: str = "gradnorm"
    updates: int = 1500
    batch: int = 64
    width: int = 128
    rate: float = 3e-3
    standardised: bool = True
    ridge: float = 1e-6

    def __post_init__(self) -> None:
        check_combiner(self.combiner)


@dataclass(frozen=True, eq=False)
class Examples:
    """The labels of one task.

    Attributes:
        x: quantities of transitions.
        y: their rewards.
    """

    x: Float[Tensor, "N Q"]
    y: Float[Tensor, " N"]

    @classmethod
    def of(cls, layout: Layout, labels: Labels) -> "Examples":
        """Quantities and rewards of labelled transitions."""
        quantities = Quantities.of(layout, labels.obs.device)
        return cls(quantities(labels.obs, labels.actions, labels.next_obs), labels.reward.float())


class SharedNet(nn.Module):
    """Two hidden layers over the quantities of a transition, and an output layer for each of K tasks.

    Args:
        size: number of quantities.
        width: units of each hidden layer.
        tasks: K.
    """

    centre: Float[Tensor, " Q"]
    spread: Float[Tensor, " Q"]

    def __init__(self, size: int, width: int, tasks: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        self.trunk = nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.weight, self.bias = nn.Parameter(torch.zeros(tasks, width)), nn.Parameter(torch.zeros(tasks))
        nn.init.normal_(self.weight, std=width**-0.5)

    def fit_normalizer(self, x: Float[Tensor, "N Q"]) -> None:
        """Quantities that never vary are left out: whatever they do later, no label says what it is worth."""
        spread = x.std(dim=0)
        self.centre.copy_(x.mean(dim=0))
        self.spread.copy_(torch.where(spread > CONSTANT, spread.clamp(min=1e-3), torch.inf))

    def features(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b W"]:
        """The columns in which rewards are linear."""
        return self.trunk((x - self.centre) / self.spread)

    def forward(self, x: Float[Tensor, "*b Q"]) -> Float[Tensor, "*b K"]:
        """The reward in each task."""
        return self.features(x) @ self.weight.T + self.bias

    def topped(self, weight: Float[Tensor, " W"], bias: Float[Tensor, ""]) -> ResidualNet:
        """The trunk with one new output, as a network that reward heads can have."""
        net = ResidualNet(len(self.centre)).to(self.centre.device)
        net.centre.copy_(self.centre)
        net.scale.copy_(self.spread)
        last = nn.Linear(len(weight), 1, device=weight.device)
        with torch.no_grad():
            last.weight.copy_(weight[None])
            last.bias.copy_(bias[None])
        net.layers = nn.Sequential(*self.trunk, last)
        return net.requires_grad_(False).eval()


def fit_shared(examples: Sequence[Examples], config: SharedHeadsConfig, seed: int) -> SharedNet:
    """Train the rewards of all tasks together.

    Args:
        examples: the labels of each task.
        config: settings of the training.
        seed: of weights and batches.

    Raises:
        UserError: the library behind the combiner is not installed.
    """
    device = examples[0].x.device
    combiner = make_combiner(config.combiner, len(examples), seed, device)
    x = torch.cat([one.x for one in examples])
    units = [_unit(one.y) if config.standardised else (0.0, 1.0) for one in examples]
    y = [(one.y - shift) / scale for one, (shift, scale) in zip(examples, units, strict=True)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SharedNet(x.shape[1], config.width, len(examples)).to(device)
    net.fit_normalizer(x)
    batches = _Batches(
        (x - net.centre) / net.spread, torch.cat(y), [len(one) for one in y], config.batch, seed
    )
    shared, own = dict(net.trunk.named_parameters()), {"weight": net.weight, "bias": net.bias}

    def loss(trunk: Mapping[str, Tensor], top: Mapping[str, Tensor], rows: Tensor, labels: Tensor) -> Tensor:
        phi = torch.func.functional_call(net.trunk, dict(trunk), (rows,))
        return (phi @ top["weight"] + top["bias"] - labels).square().mean()

    optimiser = torch.optim.Adam(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=config.updates)
    for _ in range(config.updates):
        set_gradients(combiner, loss, shared, own, batches.next())
        optimiser.step()
        schedule.step()
    net.requires_grad_(False).eval()
    shift, scale = torch.tensor(units, device=device).T  # back to the units of the labels
    net.weight.mul_(scale[:, None])
    net.bias.mul_(scale).add_(shift)
    return net


def _unit(y: Float[Tensor, " N"]) -> tuple[float, float]:
    """Mean and standard deviation of labels."""
    return float(y.mean()), float(y.std().clamp(min=CONSTANT))


class _Batches:
    """Draws equally many labels of each task."""

    def __init__(self, x: Tensor, y: Tensor, counts: Sequence[int], batch: int, seed: int) -> None:
        self._x, self._y, self._batch = x, y, batch
        self._counts = torch.tensor(counts, device=x.device)[:, None]
        self._first = self._counts.cumsum(dim=0) - self._counts
        self._generator = torch.Generator(x.device).manual_seed(seed)

    def next(self) -> tuple[Float[Tensor, "K B Q"], Float[Tensor, "K B"]]:
        draw = torch.rand(len(self._counts), self._batch, generator=self._generator, device=self._x.device)
        rows = self._first + (draw * self._counts).long()
        x = rearrange(self._x[rows.flatten()], "(k b) q -> k b q", k=len(rows))
        return x, self._y[rows]


@dataclass(frozen=True, eq=False)
class SourceHeads:
    """What is carried.

    Attributes:
        sources: what it was learned from.
        net: the rewards of the source tasks.
        ridge: penalty of a target's weights.
    """

    sources: Sources
    net: SharedNet
    ridge: float

    def head(self, task: Task) -> Head:
        """A head for a task, with a new output layer; the trunk does not change.

        Raises:
            UserError, FaultyTask: too few labels, or one that is not finite.
        """
        model = self.sources.model
        labels = model.label(task, self.sources.labels)
        _enough(task, labels)
        known = Examples.of(model.dynamics.layout, labels)
        phi, cut = self.net.features(known.x), len(known.y) - max(1, len(known.y) // 5)
        weight, bias = last_layer(phi[:cut], known.y[:cut], self.ridge)
        left = known.y[cut:] - (phi[cut:] @ weight + bias)
        still = Quantities.of(model.dynamics.layout).of_states(labels.next_obs.cpu())
        win = labels.success.cpu()
        judged = (find_boxes(still[:cut], win[:cut])(still[cut:]) > 0.5).any(dim=1) != win[cut:]
        return Head(
            atoms=Atoms.of([])[:, None],
            weights=torch.zeros(1),
            boxes=find_boxes(still, win),
            residual=self.net.topped(*last_layer(phi, known.y, self.ridge)),
            success_net=None,
            reward_error=float(left.square().mean() / known.y.var().clamp(min=1e-12)),
            success_error=float(judged.float().mean()),
        ).to(model.device)


def last_layer(
    phi: Float[Tensor, "N W"], reward: Float[Tensor, " N"], ridge: float
) -> tuple[Float[Tensor, " W"], Float[Tensor, ""]]:
    """Weights and bias of an output layer, by ridge regression; the bias is not penalised.

    Raises:
        UserError: a reward is not finite.
    """
    centre, mean = phi.mean(dim=0), reward.mean()
    weight = reward_weights(phi - centre, reward - mean, ridge)
    return weight, mean - centre @ weight


@dataclass(frozen=True)
class SharedHeads(Method[SourceHeads]):
    """Carries the dynamics, and features in which the rewards of the source tasks are linear.

    Attributes:
        training: how they are learned.
        planner: name of the planner.
        particles: imagined futures per plan.
    """

    name: ClassVar[str] = "shared_heads"
    without_practice: ClassVar[bool] = True
    training: SharedHeadsConfig = field(default_factory=SharedHeadsConfig)
    planner: str = PLANNER
    particles: int = PARTICLES

    def small(self) -> "SharedHeads":
        """See `Method.small`."""
        return replace(self, training=replace(self.training, updates=max(1, self.training.updates // 5)))

    def pretrain(self, sources: Sources) -> SourceHeads:
        """Train the rewards of all source tasks together.

        Raises:
            UserError: no source tasks, too few labels, or the library behind the combiner is not installed.
            FaultyTask: a reward is not finite.
        """
        if not sources.tasks:
            raise UserError("shared heads need at least one source task; name some")
        model, examples = sources.model, list[Examples]()
        for task in sources.tasks:
            labels = model.label(task, model.label_count(sources.labels))
            _enough(task, labels)
            examples.append(Examples.of(model.dynamics.layout, labels))
        return SourceHeads(sources, fit_shared(examples, self.training, sources.seed), self.training.ridge)

    def solve(self, carried: SourceHeads, target: Task) -> Solution:
        """Fit the target's output layer and plan for its reward."""
        sources, model = carried.sources, carried.sources.model
        heads = {part: carried.head(part) for part in simple_parts(target)}

        def rewards(tasks: Sequence[Task]) -> RewardHeads:
            for task in tasks:
                if task not in heads:
                    heads[task] = carried.head(task)
            return RewardHeads(model.dynamics.layout, {task.name: heads[task] for task in tasks})

        controller = model_controller(
            model.environment, model.dynamics, rewards=rewards, labels=sources.labels, planner=self.planner,
            particles=self.particles, device=model.device,
        )  # fmt: skip
        pool = int(model.notes.get("transitions", len(model.pool)))
        labels = sources.labels * len({task.name for task in (*sources.tasks, target)})
        return Solution(controller, Costs(pool, 0, labels, parameters(model.dynamics, carried.net)))


def _enough(task: Task, labels: Labels) -> None:
    if len(labels.reward) < LEAST:
        raise UserError(
            f"task {task.name!r}: shared heads need at least {LEAST} labels, got {len(labels.reward)}"
        )
