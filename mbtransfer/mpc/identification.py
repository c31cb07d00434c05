"""Planning under hidden parameters of the dynamics: identified online, or only known to lie in their ranges.

The model is one that was told the parameters as constant columns (`tasks.randomised`), a hidden-parameter model as in
Doshi-Velez and Konidaris (2016) and Killian et al. (2017), "Robust and efficient transfer learning with hidden
parameter Markov decision processes". At test time nobody tells them: an encoder estimates them from the last
transitions (UP-OSI, Yu et al. 2017), and planning in the model takes the place of the universal policy.

With several draws from what is believed, and a `ReturnEstimator` with risk `cvar`, plans count by the worst share of
the parameters: the objective of EPOpt (Rajeswaran et al. 2017, "EPOpt: learning robust neural network policies using
model ensembles"), for plans instead of policies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent, Seeding, action_bounds
from mbtransfer.mpc.controller import PARTICLES, PLANNER, Controller, model_controller
from mbtransfer.mpc.objective import (
    Future,
    LearnedDynamics,
    Policy,
    ReturnEstimator,
    Reward,
    TrajectoryObjective,
)
from mbtransfer.mpc.task_reward import Rewards
from planners.base import Bounds, Planner
from planners.registry import make_planner
from tasks.environment import Environment
from tasks.hidden_parameters import Ranges
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.rollout import Imagination, Imagined
from world_models.identification.encoder import Belief, ParameterEncoder

WINDOW = 64
"""Transitions that count for what is believed; an encoder should have been trained on windows as long."""


@dataclass(eq=False)  # not frozen, as the protocol's estimator can be set
class DynamicsUnder:
    """Dynamics of a model that reads hidden parameters, for observations without them.

    Every plan is followed under M vectors of parameters with P particles each; all M P futures are its particles.

    Attributes:
        imagination: the model's.
        parameters: M vectors for each of B episodes.
        estimator: computes returns from rewards.
    """

    imagination: Imagination
    parameters: Float[Tensor, "M B K"]
    estimator: ReturnEstimator

    def with_returns(self, estimator: ReturnEstimator) -> "DynamicsUnder":
        """See `Dynamics.with_returns`."""
        return replace(self, estimator=estimator)

    def objective(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward, generator: torch.Generator
    ) -> TrajectoryObjective:
        """See `Dynamics.objective`."""
        draws = len(self.parameters)

        def follow(plans: Float[Tensor, "R H A"]) -> Future:
            each = len(plans) // len(obs)
            seen = repeat(obs, "b o -> (m b n) o", m=draws, n=each)
            starts = torch.cat([seen, repeat(self.parameters, "m b k -> (m b n) k", n=each)], dim=1)
            futures = self.imagination(starts, repeat(plans, "r h a -> (m r) h a", m=draws), generator)
            obs_path, particles = (
                rearrange(path, "t p (m r) o -> t (m p) r o", m=draws)
                for path in (futures.obs, futures.particles)
            )
            futures = Imagined(obs_path, particles, futures.change)
            return futures, futures.obs

        return TrajectoryObjective(follow, reward, self.estimator)

    def rollouts(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, policy: Policy, horizon: int
    ) -> Float[Tensor, "B H A"]:
        """See `Dynamics.rollouts`; under the mean of the M vectors, with a policy that does not see them."""
        size, mean = obs.shape[1], self.parameters.mean(dim=0)
        wide = torch.cat([obs, repeat(mean, "b k -> (b n) k", n=len(obs) // len(mean))], dim=1)
        inner = LearnedDynamics(self.imagination, self.estimator)
        return inner.rollouts(wide, state, lambda rows: policy(rows[:, :size]), horizon)

    def ahead(
        self, obs: Float[Tensor, "B O"], state: np.ndarray, actions: Float[Tensor, "B H A"]
    ) -> tuple[Float[Tensor, "B O"], np.ndarray]:
        """See `Dynamics.ahead`; under the mean of the M vectors."""
        wide = torch.cat([obs, self.parameters.mean(dim=0)], dim=1)
        inner = LearnedDynamics(self.imagination, self.estimator)
        return inner.ahead(wide, state, actions)[0][:, : obs.shape[1]], state


class IdentifyingAgent(MPCAgent):
    """Plans under parameters that it identifies, control step by control step.

    After `reset` it goes on with what it knows: the next episodes have the dynamics of the last ones, row by row.
    Actions are taken to be executed as they were chosen.

    Args:
        dynamics: the model's, with any parameters.
        planner: searches for plans.
        bounds: the action box.
        seed: seed of all randomness.
        ends: lowest and highest value of each parameter.
        encoder: identifies; None knows the ranges alone.
        draws: M vectors of parameters under which each plan is followed; with 1 that is the mean.
        window: L, transitions that count.
        seeding, decision_ms: see `MPCAgent`.
    """

    def __init__(
        self,
        dynamics: DynamicsUnder,
        planner: Planner,
        bounds: Bounds,
        seed: int = 0,
        *,
        ends: Float[Tensor, "2 K"],
        encoder: ParameterEncoder | None,
        draws: int = 1,
        window: int = WINDOW,
        seeding: Seeding | None = None,
        decision_ms: float | None = None,
    ) -> None:
        super().__init__(dynamics, planner, bounds, seed, seeding=seeding, decision_ms=decision_ms)
        if draws < 1 or window < 1:
            raise UserError(f"an agent needs at least 1 draw and 1 transition, not {draws} and {window}")
        self._under, self._encoder, self._draws, self._window = dynamics, encoder, draws, window
        self._low, self._high = ends
        self._last: tuple[Tensor, Tensor] | None = None
        self._embedded: Tensor | None = None

    @property
    def belief(self) -> Belief | None:
        """What is believed of each episode; None before the first transition, and without an encoder."""
        if self._encoder is None or self._embedded is None:
            return None
        return self._encoder.believe(self._embedded)

    def reset(self) -> None:
        """Forget all plans, because new episodes begin; what has been identified stays."""
        super().reset()
        self._last = None

    def keep(self, rows: Tensor) -> None:
        """Keep only some of the episodes; `rows` is a mask or an index."""
        super().keep(rows)
        self._embedded = None if self._embedded is None else self._embedded[rows]
        if self._last is not None:
            self._last = (self._last[0][rows], self._last[1][rows])

    @torch.no_grad()
    def act(self, obs: Float[Tensor, "B O"], state: np.ndarray, reward: Reward) -> Float[Tensor, "B A"]:
        """The next action of each episode, whose observations are without the parameters."""
        self._note(obs)
        self.dynamics = replace(self._under, parameters=self._drawn(len(obs)))
        action = super().act(obs, state, reward)
        self._last = (obs, action)
        return action

    def _note(self, obs: Float[Tensor, "B O"]) -> None:
        """Take in the transition that has just ended."""
        if self._encoder is None or self._last is None:
            return
        new = self._encoder.embed(*self._last, obs)[:, None]
        whole = new if self._embedded is None else torch.cat([self._embedded, new], dim=1)
        self._embedded = whole[:, -self._window :]

    def _drawn(self, batch: int) -> Float[Tensor, "M B K"]:
        """Vectors of parameters from what is believed, within the ranges."""
        belief, shape = self.belief, (self._draws, batch, len(self._low))
        if belief is None:
            share = torch.full(shape, 0.5, device=self._low.device)
            if self._draws > 1:
                share = torch.rand(shape, generator=self.generator, device=self._low.device)
            return self._low + share * (self._high - self._low)
        drawn = belief.mean.expand(shape)
        if self._draws > 1:
            noise = torch.randn(shape, generator=self.generator, device=self._low.device)
            drawn = drawn + belief.deviation * noise
        return torch.minimum(torch.maximum(drawn, self._low), self._high)


@dataclass(frozen=True, repr=False, kw_only=True)
class IdentifyingController(Controller):
    """A controller of an untold environment, with the dynamics of the told one; see `tasks.randomised`.

    Attributes:
        dynamics: of the model that reads the parameters, with any.
        ranges: of the parameters.
        encoder: identifies them; None knows the ranges alone.
        draws: vectors of parameters under which each plan is followed; see `IdentifyingAgent`.
        window: transitions that count.
    """

    dynamics: DynamicsUnder
    ranges: Ranges
    encoder: ParameterEncoder | None
    draws: int = 1
    window: int = WINDOW

    def agent(self, seed: int) -> IdentifyingAgent:
        """See `Controller.agent`.

        Raises:
            PlannerError: no such planner or setting.
            UserError: no draws or no window.
        """
        bounds = action_bounds(self.environment.spec, self.device)
        return IdentifyingAgent(
            self.dynamics, make_planner(self.planner, bounds, self.settings), bounds, seed, ends=self._ends(),
            encoder=self.encoder, draws=self.draws, window=self.window, seeding=self.seeding,
            decision_ms=self.decision_ms,
        )  # fmt: skip

    def _ends(self) -> Float[Tensor, "2 K"]:
        each = self.ranges.parameters
        return torch.tensor([[one.low for one in each], [one.high for one in each]], device=self.device)


def identifying_controller(
    untold: Environment, dynamics: EnsembleDynamics, ranges: Ranges, encoder: ParameterEncoder | None, *,
    rewards: Callable[[Sequence[Task]], Rewards] | None = None, labels: int = 0, draws: int = 1,
    window: int = WINDOW, particles: int = PARTICLES, estimator: ReturnEstimator | None = None,
    planner: str = PLANNER, settings: Mapping[str, int | float] | None = None,
) -> IdentifyingController:  # fmt: skip
    """A controller that plans under parameters that it identifies; see `IdentifyingController`.

    Args:
        untold: the environment, whose observations are without the parameters.
        dynamics: of the same environment where it tells them.
        ranges: of the parameters.
        encoder: identifies them; None knows the ranges alone.
        rewards: learned from observations without the parameters; None for the true ones.
        labels: labelled transitions behind them.
        draws, window: see `IdentifyingAgent`.
        particles, estimator, planner, settings: see `model_controller`.

    Raises:
        UserError: the dynamics do not read these parameters after those observations.
    """
    expected = [variable.name for variable in untold.spec.observation]
    expected += [one.column.name for one in ranges.parameters]
    if list(dynamics.layout.columns) != expected:
        raise UserError(
            f"the dynamics read {len(dynamics.layout.columns)} columns, which are not those of {untold.spec.name} "
            f"and {', '.join(ranges.names)}"
        )
    plain = model_controller(
        untold, dynamics, rewards=rewards, labels=labels, planner=planner, settings=settings, particles=particles,
        estimator=estimator,
    )  # fmt: skip
    assert isinstance(plain.dynamics, LearnedDynamics)
    nothing = torch.zeros(1, 1, len(ranges.parameters))
    under = DynamicsUnder(plain.dynamics.imagination, nothing, plain.dynamics.estimator)
    fields = vars(plain) | {"dynamics": under}
    return IdentifyingController(**fields, ranges=ranges, encoder=encoder, draws=draws, window=window)
