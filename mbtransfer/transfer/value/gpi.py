"""Transfer by successor features: policies of source tasks, and the best of them in each state of the target.

See `mbtransfer.transfer.value.successor_features` for the method and its papers. Here are the features of transitions,
and the training from a model: on its pool, and on roll-outs of the source policies in it.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.model.model_transfer import planning
from mbtransfer.transfer.value.successor_features import (
    Features,
    GPIPolicy,
    SuccessorConfig,
    SuccessorFeatures,
    Trunk,
    learn,
    reward_weights,
)
from planners.base import Bounds
from tasks.task import Task
from world_models.dynamics.rollout import Imagination
from world_models.layout import Layout
from world_models.rewards.basis import ABSOLUTE, BUMP, ONE, SQUARE, Atoms
from world_models.rewards.quantities import Quantities

KNOTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Places in each column's range where a feature bends or peaks."""

WIDTH = 0.1
"""Half the width of a peak, as a share of the range."""


class TransitionFeatures:
    """Features in which the rewards of an environment's tasks are nearly linear.

    A constant, and of the state reached: |x - t| and 1[|x - t| <= WIDTH] at each of `KNOTS` for each column with
    limits (x is a share of the range), the distance of the hand to each object (m), and the square of each action. They
    are a small part of what reward heads choose from (`world_models.rewards.basis`), as psi has an output for each.

    Args:
        layout: columns and bodies of the environment.
        device: where transitions are.
    """

    def __init__(self, layout: Layout, device: torch.device | str = "cpu") -> None:
        self._quantities = Quantities.of(layout, device)
        rows = [ONE]
        for share in self._quantities.shares:
            rows += [(share, ABSOLUTE, knot, 1.0) for knot in KNOTS]
            rows += [(share, BUMP, knot, WIDTH) for knot in KNOTS]
        rows += [(distance, ABSOLUTE, 0.0, 1.0) for distance in self._quantities.distances]
        rows += [(action, SQUARE, 0.0, 1.0) for action in self._quantities.actions]
        self._atoms = Atoms(*(part.to(device) for part in vars(Atoms.of(rows)).values()))

    def __call__(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b F"]:
        """The features of transitions."""
        return self._atoms(self._quantities(obs, action, next_obs))


@dataclass(frozen=True, eq=False)
class SourcePolicies:
    """What is carried.

    Attributes:
        sources: what it was learned from.
        successors: psi of the source tasks' policies.
    """

    sources: Sources
    successors: SuccessorFeatures

    def improved(self, target: Task) -> GPIPolicy:
        """GPI in a target, by the weights of its labels alone."""
        return GPIPolicy(self.successors, task_weights(self.sources, self.successors.features, target))


@dataclass(frozen=True)
class SuccessorTransfer(Method[SourcePolicies]):
    """Carries successor features, and acts by generalised policy improvement.

    Attributes:
        training: how they are learned.
    """

    name: ClassVar[str] = "successor_features"
    without_practice: ClassVar[bool] = True
    training: SuccessorConfig = field(default_factory=SuccessorConfig)

    def small(self) -> "SuccessorTransfer":
        """See `Method.small`."""
        return replace(self, training=replace(self.training, updates=max(1, self.training.updates // 5)))

    def pretrain(self, sources: Sources) -> SourcePolicies:
        """Learn psi of the source tasks' policies.

        Raises:
            UserError: no source tasks.
        """
        return SourcePolicies(sources, fit_successors(sources, self.training))

    def solve(self, carried: SourcePolicies, target: Task) -> Solution:
        """Regress the target's rewards on the features; nothing else is learned."""
        return Solution(carried.improved(target).policy, _costs(carried))


@dataclass(frozen=True)
class SuccessorValue(SuccessorTransfer):
    """Carries successor features beside the model; what they promise is the value at the end of its plans.

    Attributes:
        horizon: control steps of a plan; None for the planner's default.
    """

    name: ClassVar[str] = "successor_value"
    horizon: int | None = None

    def solve(self, carried: SourcePolicies, target: Task) -> Solution:
        """Plan in the model for the target's learned reward, with the GPI value."""
        sources, improved = carried.sources, carried.improved(target)
        plain = planning(sources, sources.model.dynamics, target)
        estimator = replace(
            plain.dynamics.estimator, discount=carried.successors.discount, value=improved.value
        )
        settings = plain.settings if self.horizon is None else {**plain.settings, "horizon": self.horizon}
        controller = replace(plain, dynamics=plain.dynamics.with_returns(estimator), settings=settings)
        costs = _costs(carried)
        return Solution(
            controller, replace(costs, parameters=costs.parameters + parameters(sources.model.dynamics))
        )


def fit_successors(sources: Sources, config: SuccessorConfig) -> SuccessorFeatures:
    """Learn psi of the source tasks' policies from a model and its pool, without a step in the environment.

    Raises:
        UserError: no source tasks.
        FaultyTask: a reward is not finite.
    """
    model, seed = sources.model, sources.seed
    if not sources.tasks:
        raise UserError("successor features need at least one source task; name some")
    generator = torch.Generator(model.device).manual_seed(seed)
    features = TransitionFeatures(model.dynamics.layout, model.device)
    tasks = torch.stack([task_weights(sources, features, task) for task in sources.tasks])
    actions = action_set(action_bounds(model.environment.spec, model.device), config.actions, seed)
    trunk = Trunk(model.pool, config.width, generator)
    net = SuccessorFeatures(features, trunk, config.width, actions, tasks, config.discount)
    imagination = Imagination(model.dynamics, 1)

    def step(obs: Float[Tensor, "R O"], action: Float[Tensor, "R A"]) -> Float[Tensor, "R O"]:
        return imagination.step(obs.T[None].contiguous(), action.T[None].contiguous())[0].T.contiguous()

    learn(net, model.pool, config, generator, step)
    return net


def task_weights(sources: Sources, features: Features, task: Task) -> Float[Tensor, " F"]:
    """The weights of a source or target task, by its labelled transitions.

    Raises:
        FaultyTask: a reward is not finite.
    """
    known = sources.model.label(task, sources.labels)
    return reward_weights(features(known.obs, known.actions, known.next_obs), known.reward)


def action_set(bounds: Bounds, count: int, seed: int) -> Float[Tensor, "N A"]:
    """The middle of the action box, and points that fill it evenly (Sobol), half of them moved to their corners."""
    points = torch.quasirandom.SobolEngine(len(bounds.low), scramble=True, seed=seed).draw(count - 1)
    points = (2 * points - 1).to(bounds.low)
    points[: count // 2].sign_()
    return torch.cat([bounds.middle[None], bounds.middle + points * bounds.half])


def _costs(carried: SourcePolicies) -> Costs:
    sources, model = carried.sources, carried.sources.model
    pool = int(model.notes.get("transitions", len(model.pool)))
    labels = sources.labels * (len(sources.tasks) + 1)
    return Costs(pool, 0, labels, parameters(carried.successors))
