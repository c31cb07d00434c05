"""Planners that collect: with a model, with the true simulator, or after what the model does not know."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mbtransfer.agent import MPCAgent
from mbtransfer.collecting.chain import Chain
from mbtransfer.objective import Reward
from mbtransfer.valuation import Valuation
from world_models.imagine import Imagined

_MEMORY = 0.8
"""Share of the noise on an action that stays at the next step."""

_MOST = 3.0
"""Disagreement beyond this many scales of change counts no more: it is the model's failure, not news."""


class PlannerBehaviour:
    """An agent that plans for a reward; noise on its actions shows the model what lies beside the plan.

    Args:
        agent: plans for B episodes at once.
        reward: what it plans for: `Task.reward`, or a `Goal` with one row per episode.
        noise_std: spread of the coloured noise on each action, as a share of half the action range.
        rng: source of the noise.
        chain: gives the reward from step to step instead, where episodes go on with other tasks.
    """

    def __init__(
        self, agent: MPCAgent, reward: Reward, noise_std: float, rng: np.random.Generator,
        chain: Chain | None = None,
    ) -> None:  # fmt: skip
        self._agent, self._reward, self._chain = agent, reward, chain
        self._noise_std, self._rng = noise_std, rng
        self._noise: ndarray | None = None

    def act(self, obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> Float[ndarray, "B A"]:
        """See `Behaviour.act`."""
        bounds = self._agent.bounds
        seen = torch.from_numpy(obs).to(bounds.low)
        if self._chain is not None:
            self._agent.forget(self._chain.advance(seen))
            self._reward = self._chain.goal()
        action = self._agent.act(seen, state, self._reward)
        noise = torch.from_numpy(self._next_noise(tuple(action.shape))).to(action)
        noisy: ndarray = bounds.clamp(action + self._noise_std * bounds.half * noise).cpu().numpy()
        return noisy

    def _next_noise(self, shape: tuple[int, ...]) -> ndarray:
        """A random walk of unit spread that forgets: the hand drifts off the plan instead of trembling."""
        fresh = self._rng.normal(size=shape)
        past = self._noise
        self._noise = fresh if past is None else _MEMORY * past + (1 - _MEMORY**2) ** 0.5 * fresh
        return self._noise


@dataclass(frozen=True)
class Curious(Valuation):
    """What the ensemble disagrees about is worth a bonus.

    Sekar et al. (2020), "Planning to explore via self-supervised world models": disagreement of the members
    is what more data can teach, unlike noise, on which they agree.

    Attributes:
        bonus: reward per control step for one unit of disagreement; needs at least two particles.
    """

    bonus: float = 1.0

    def returns(
        self, rewards: Float[Tensor, "H Q R"], futures: Imagined, actions: Float[Tensor, "H 1 R A"]
    ) -> Float[Tensor, " R"]:
        """See `Valuation.returns`."""
        news = futures.disagreement().clamp(max=_MOST).mean(dim=-1).sum(dim=0)
        return super().returns(rewards, futures, actions) + self.bonus * news
