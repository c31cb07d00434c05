"""One policy for all goals, trained in imagination with hindsight.

Universal value functions V(s, g) and a policy pi(s, g) (Schaul et al. 2015, "Universal value function approximators",
section 3), trained towards goals that other states of the pool hold, by the actor-critic of
`mbtransfer.training.policy`. No task is needed: rewards follow from the gap between positions and goal,

    r = u 1[gap <= tolerance] + w (1 - way) + (1 - u - w) (1 - gap),

with way the hand's to the object in question, and a soft step (u, w: `arrival`, `approach`).

Hindsight (Andrychowicz et al. 2017, "Hindsight experience replay", algorithm 1, goals of the strategy "future"): every
imagined roll-out is looked at again, as if its goal had been a state that it reached later. What it did shows a way
there, so that its return R is a lower bound of the best one. Where it is above what the value expects, the value
learns it and the policy the action (Oh et al. 2018, "Self-imitation learning", section 3):

    L_V = mean (max(R, V'(s, g)) - V(s, g))^2,   L_pi = mean 1[R > V(s, g)] (R - V(s, g)) |pi(s, g) - a|^2

A share of the next roll-outs begins in such a state, with such a goal. The model replays from any state, so that no
buffer of transitions is needed.

A target's goal comes from its labels (`GoalSpace.goal_of`), and nothing is trained for it.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.objective import Policy
from mbtransfer.mpc.task_policy import Actor, Critic, Scaled
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, Trainer, step
from mbtransfer.transfer.method import Costs, Method, Solution, Sources, parameters
from mbtransfer.transfer.policy.goals import TOLERANCE, GoalSpace
from mbtransfer.transfer.policy.imagined_policy import ALONE
from planners.base import Bounds
from tasks.environment import Environment
from tasks.task import Task
from world_models.dynamics.rollout import Imagination

KEEN = 10.0
"""How much more the advantage of a shown action weighs than the policy's own objective; values are from 0 to 1."""


class GoalConditioned(Scaled):
    """A network that reads observations, and behind them goals: what is wanted, and how far each of it is away.

    Args:
        inputs: O, the number of observation columns.
        outputs: number of output columns.
        space: what goals are about.
    """

    def __init__(self, inputs: int, outputs: int, space: GoalSpace) -> None:
        super().__init__(inputs + 2 * space.size, outputs)
        self._inputs, self._space = inputs, space
        self.scale[inputs + space.size :] = (
            TOLERANCE  # gaps are clipped at ten times the tolerance: all of a range
        )

    def fit_normalizer(self, obs: Float[Tensor, "N I"]) -> None:
        """Fit the normalisation to observations; that of goals stays."""
        own = obs[:, : self._inputs]
        self.centre[: self._inputs] = own.mean(dim=0)
        self.scale[: self._inputs] = own.std(dim=0).clamp(min=1e-3)

    def read(self, obs: Float[Tensor, "*b I"]) -> Float[Tensor, "*b Y"]:
        """The network's output for observations and goals."""
        own, goal = obs[..., : self._inputs], obs[..., self._inputs :]
        wanted, place = goal.chunk(2, dim=-1)
        return super().read(torch.cat([own, wanted, wanted * (place - self._space.places(own))], dim=-1))


class GoalActor(GoalConditioned, Actor):
    """A policy of all goals."""


class GoalCritic(Critic):
    """Two estimates of the value of a state with a goal."""

    def __init__(self, inputs: int, space: GoalSpace) -> None:
        super().__init__(inputs)
        self.first, self.second = (GoalConditioned(inputs, 1, space) for _ in range(2))


class Pursuit(Imagination):
    """Imagination of observations that have a goal behind them, which stays."""

    def step(
        self,
        obs: Float[Tensor, "P I R"],
        action: Float[Tensor, "P A R"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "P I R"]:
        """See `Imagination.step`."""
        size = self._low.shape[0]
        own, goal = obs[:, :size], obs[:, size:]
        return torch.cat([super().step(own, action, generator), goal], dim=1)


class GoalTrainer(Trainer):
    """Actor-critic towards goals of the pool, with hindsight.

    Args:
        imagination: the ensemble.
        space: what goals are about.
        starts: observations of the pool; start states and goals.
        bounds: the action box.
        method: gives the rewards, the shares of goals and the training.
        seed: seed of all randomness.
    """

    def __init__(
        self, imagination: Pursuit, space: GoalSpace, starts: Float[Tensor, "N O"], bounds: Bounds,
        method: "GoalPolicy", seed: int,
    ) -> None:  # fmt: skip
        self._space, self._size, self._method = space, starts.shape[1], method
        self._again: Tensor | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nets = (
                GoalActor(self._size, len(bounds.low), space).to(starts.device),
                GoalCritic(self._size, space).to(starts.device),
            )
        aimed = torch.cat([starts, starts.new_zeros(len(starts), 2 * space.size)], dim=1)
        super().__init__(
            imagination, self.worth, (0.0, 1.0), aimed, bounds, method.training, seed, None, nets
        )

    def worth(
        self, obs: Float[Tensor, "*b I"], action: Float[Tensor, "*b A"], ahead: Float[Tensor, "*b I"]
    ) -> Float[Tensor, "*b"]:
        """The reward of states reached, from 0 to 1; the other arguments are there because rewards have them."""
        own, goal = ahead[..., : self._size], ahead[..., self._size :]
        gap, arrival, approach = self._space.gap(own, goal), self._method.arrival, self._method.approach
        near = torch.sigmoid((TOLERANCE - gap) / (TOLERANCE / 4))
        way = self._space.way(own, goal).clamp(max=1.0)
        return arrival * near + approach * (1 - way) + (1 - arrival - approach) * (1 - gap.clamp(max=1.0))

    def update(self) -> float:
        """Update policy and value, and once more in hindsight; returns the mean reward of the roll-outs."""
        gain = super().update()
        if self._method.hindsight:
            self._look_back()
        return gain

    def _beginnings(self) -> Float[Tensor, "P R I"]:
        """Start states with goals; some of both come from the last roll-outs."""
        begin = super()._beginnings()
        flat = rearrange(begin, "p r i -> (p r) i")
        new = (flat[:, self._size :] == 0).all(dim=1)  # those that come from the pool have no goal yet
        goals = self._space.towards(self._pool_states(len(flat)), self._choose(len(flat)))
        flat = torch.cat([flat[:, : self._size], torch.where(new[:, None], goals, flat[:, self._size :])], 1)
        if self._again is not None:
            again = self._draw(len(flat)) < self._method.hindsight
            flat = torch.where((again & new)[:, None], self._again, flat)
        return rearrange(flat, "(p r) i -> p r i", p=len(begin))

    def _look_back(self) -> None:
        """Learn from the last roll-outs as if their goals had been what they reached."""
        obs, actions, _ = self._last
        aimed = self._relabelled(obs[..., : self._size])
        with torch.no_grad():
            rewards = self.worth(aimed[:-1], actions, aimed[1:])
            returns, expected = self._returns(rewards, aimed), self._value(aimed[:-1])
            better = (returns - expected).clamp(min=0.0)
        step(self._critic_steps, (self.critic.both(aimed[:-1]) - expected - better).square().mean())
        wrong = (self.actor(aimed[:-1]) - actions).square().sum(dim=-1)
        step(self._actor_steps, KEEN * (better * wrong).mean())
        when = torch.randint(len(actions), aimed.shape[1:3], generator=self._generator, device=aimed.device)
        begin = aimed.gather(0, repeat(when, "p r -> 1 p r i", i=aimed.shape[-1]))[0]
        self._again = rearrange(begin, "p r i -> (p r) i")

    def _relabelled(self, obs: Float[Tensor, "points P R O"]) -> Float[Tensor, "points P R I"]:
        """The roll-outs with goals that they reached at their ends."""
        rows = rearrange(obs[-1], "p r o -> (p r) o")
        began = rearrange(obs[0], "p r o -> (p r) o")
        moved = ((self._space.places(rows) - self._space.places(began)).abs() @ self._space.groups.mT) + 1e-6
        drawn = torch.multinomial(moved, 1, generator=self._generator)[:, 0]
        chosen = torch.nn.functional.one_hot(drawn, len(self._space.groups)).to(rows)
        goals = rearrange(self._space.towards(rows, chosen), "(p r) y -> p r y", p=obs.shape[1])
        return torch.cat([obs, goals.expand(*obs.shape[:-1], -1)], dim=-1)

    def _choose(self, count: int) -> Float[Tensor, "N G"]:
        """Groups that goals are about: one, or now and then two."""
        shape = (count, 2)
        drawn = torch.randint(
            len(self._space.groups), shape, generator=self._generator, device=self._starts.device
        )
        drawn[:, 1] = torch.where(self._draw(count) < self._method.both, drawn[:, 1], drawn[:, 0])
        chosen: Tensor = torch.nn.functional.one_hot(drawn, len(self._space.groups)).amax(dim=1)
        return chosen.to(self._starts)

    def _pool_states(self, count: int) -> Float[Tensor, "N O"]:
        rows = torch.randint(
            len(self._starts), (count,), generator=self._generator, device=self._starts.device
        )
        return self._starts[rows, : self._size]

    def _draw(self, count: int) -> Float[Tensor, " N"]:
        return torch.rand(count, generator=self._generator, device=self._starts.device)


@dataclass(frozen=True, eq=False)
class Carried:
    """The policy of all goals.

    Attributes:
        sources: what it was learned from.
        space: what goals are about.
        actor: the policy.
    """

    sources: Sources
    space: GoalSpace
    actor: GoalActor

    def policy(self, goal: Float[Tensor, "*#B Y"]) -> Policy:
        """The policy towards a goal, or towards one for each row of observations."""
        bounds = action_bounds(self.sources.model.environment.spec, self.sources.model.device)

        def policy(obs: Float[Tensor, "B O"]) -> Float[Tensor, "B A"]:
            with torch.no_grad():
                aimed = torch.cat([obs, goal.expand(len(obs), -1)], dim=1)
                return bounds.middle + self.actor(aimed) * bounds.half

        return policy


@dataclass(frozen=True)
class GoalPolicy(Method[Carried]):
    """Carries one policy of all goals, and tells it the goal that a target's labels show.

    Attributes:
        updates: updates of policy and value.
        hindsight: share of the roll-outs from the pool that begin in an imagined state instead, towards what was
            reached from there; zero for no hindsight at all.
        both: share of the goals from the pool that are about two groups of positions.
        arrival: share of the reward for having arrived (u).
        approach: share of the reward for the hand to be near to what shall be moved (w); arrival and approach
            together are at most one.
        training: how it is trained.
    """

    name: ClassVar[str] = "goal_policy"
    without_practice: ClassVar[bool] = True
    updates: int = 1500
    hindsight: float = 0.3
    both: float = 0.2
    arrival: float = 0.2
    approach: float = 0.2
    training: PolicyTrainingConfig = field(default_factory=lambda: replace(ALONE, rows=60))

    def lacks(self, environment: Environment) -> str:
        """See `Method.lacks`."""
        return "" if environment.spec.fixtures else "things that move, to have goals"

    def small(self) -> "GoalPolicy":
        """See `Method.small`."""
        return replace(self, updates=max(1, self.updates // 10))

    def pretrain(self, sources: Sources) -> Carried:
        """Train the policy towards goals of the pool, without a task or a step in the environment.

        Raises:
            UserError: shares that are none.
        """
        self._check()
        model = sources.model
        space = GoalSpace.of(model.dynamics.layout, model.device)
        bounds = action_bounds(model.environment.spec, model.device)
        imagination = Pursuit(model.dynamics, len(model.dynamics.elites))
        trainer = GoalTrainer(imagination, space, model.pool.obs, bounds, self, sources.seed)
        for _ in range(self.updates):
            trainer.update()
        return Carried(sources, space, trainer.actor.requires_grad_(False))  # type: ignore[arg-type]

    def solve(self, carried: Carried, target: Task) -> Solution:
        """Tell the policy the target's goal."""
        sources, model = carried.sources, carried.sources.model
        goal = carried.space.goal_of(model.label(target, sources.labels))
        pool = int(model.notes.get("transitions", len(model.pool)))
        return Solution(carried.policy(goal), Costs(pool, 0, sources.labels, parameters(carried.actor)))

    def _check(self) -> None:
        for name in ("hindsight", "both", "arrival", "approach"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"goal_policy: {name} must be from 0 to 1, not {getattr(self, name)}")
        if self.arrival + self.approach > 1.0:
            raise UserError(
                f"goal_policy: arrival and approach are {self.arrival + self.approach} together; at most 1"
            )
