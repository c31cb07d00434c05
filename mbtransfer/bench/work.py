"""Work to measure: a network that has learned nothing, and one decision of an agent; speed does not mind."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.agent import MPCAgent
from mbtransfer.objective import LearnedDynamics
from planners.base import Bounds
from planners.registry import make_planner
from world_models.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.imagine import Imagination
from world_models.layout import Layout
from world_models.precision import Precision


@dataclass(frozen=True)
class Work:
    """How much one decision is.

    Attributes:
        planner: who searches, at its defaults but for the following.
        members: networks in the ensemble.
        hidden: width of a hidden layer.
        layers: hidden layers.
        obs: observation columns.
        act: action columns.
        candidates: plans per iteration.
        horizon: control steps that each looks ahead.
        iterations: rounds of the search.
        particles: imagined futures per plan.
        episodes: decisions made in one call.
        precision: of the products.
        compile: let torch.compile fuse the model's steps.
        device: cpu or cuda.
    """

    planner: str = "cem"
    members: int = 5
    hidden: int = 200
    layers: int = 4
    obs: int = 17
    act: int = 6
    candidates: int = 500
    horizon: int = 15
    iterations: int = 5
    particles: int = 5
    episodes: int = 1
    precision: Precision = "auto"
    compile: bool = False
    device: str = "cpu"

    @property
    def model_steps(self) -> int:
        """Observations that one call predicts, each by one member, where every iteration is alike."""
        return self.episodes * self.candidates * self.horizon * self.iterations * self.particles

    def dynamics(self) -> EnsembleDynamics:
        """The network."""
        config = EnsembleConfig(self.members, "dense", self.hidden, self.layers)
        layout = plain_layout(self.obs, self.act)
        return EnsembleDynamics(layout, config, torch.Generator().manual_seed(0)).to(self.device)

    def described(self) -> dict[str, Any]:
        """Every setting."""
        return asdict(self)


class Decisions:
    """An agent that decides over and over from one state.

    Args:
        work: how much.

    Attributes:
        model_steps: observations imagined so far, each by one member.

    Raises:
        PlannerError: no such planner, or a setting out of its range.
    """

    def __init__(self, work: Work) -> None:
        device, box = work.device, torch.ones(work.act, device=work.device)
        bounds = Bounds(-box, box)
        settings = {name: getattr(work, name) for name in ("candidates", "horizon", "iterations")}
        planner = make_planner(work.planner, bounds, settings)
        self.imagination = Imagination(
            work.dynamics(), work.particles, precision=work.precision, compiled=work.compile
        )
        self.agent = MPCAgent(LearnedDynamics(self.imagination), planner, bounds)
        start = torch.Generator().manual_seed(1)
        self._obs = torch.randn(work.episodes, work.obs, generator=start).to(device)
        self._state = np.zeros((work.episodes, 0))
        self.model_steps = 0

    def __call__(self) -> None:
        """Decide, and wait until it is done."""
        self.agent.act(self._obs, self._state, self._reward).cpu()

    def _reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Of every imagined step, so that it can count them."""
        self.model_steps += obs.shape[:-1].numel()
        return -next_obs.square().mean(dim=-1) - 0.01 * action.square().mean(dim=-1)


def plain_layout(obs: int, act: int) -> Layout:
    """Columns that are nothing in particular."""
    names = tuple(f"x{i}" for i in range(obs))
    return Layout(names, (-1.0,) * obs, (1.0,) * obs, (False,) * obs, act)
