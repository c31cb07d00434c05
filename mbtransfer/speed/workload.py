"""Workloads of the speed measurements: untrained networks and a decision of an agent."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.model import model_layout
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.controller import PARTICLES, PLANNER
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.mpc.task_reward import TaskReward
from planners.base import Bounds
from planners.registry import make_planner
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.precision import Precision
from world_models.dynamics.rollout import Imagination
from world_models.layout import Layout
from world_models.rewards.basis import ABSOLUTE, BUMP, Atoms
from world_models.rewards.boxes import SIDES, Box
from world_models.rewards.head import Head
from world_models.rewards.heads import RewardHeads
from world_models.rewards.quantities import Quantities


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
            work.dynamics(), work.particles, precision=work.precision, compiled=work.compile,
            rows=work.episodes * work.candidates,
        )  # fmt: skip
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


class KitchenDecisions:
    """An agent that decides for B episodes at once, episode i after task i modulo K.

    Args:
        episodes: B.
        tasks: K.
        precision: of the products.
        device: cpu or cuda.
    """

    def __init__(self, episodes: int, tasks: int, precision: Precision = "auto", device: str = "cpu") -> None:
        kitchen = make("kitchen")
        layout = model_layout(kitchen.spec)
        dynamics = EnsembleDynamics(layout, EnsembleConfig(), torch.Generator().manual_seed(0)).to(device)
        names = [f"task {k}" for k in range(tasks)]
        quantities = Quantities.of(layout).simple
        heads = RewardHeads(
            layout, {name: _head(k % quantities).to(torch.device(device)) for k, name in enumerate(names)}
        )
        bounds = action_bounds(kitchen.spec, device)
        self.imagination = Imagination(dynamics, PARTICLES, precision=precision, rows=64 * episodes)
        self.agent = MPCAgent(LearnedDynamics(self.imagination), make_planner(PLANNER, bounds), bounds)
        turns = torch.arange(episodes) % tasks
        self._goal = TaskReward(heads, torch.eye(tasks)[turns].to(device))
        scene = kitchen.make_scene(())
        states = scene.sample_states(np.random.default_rng(0), episodes)
        self._state, self._obs = states, torch.from_numpy(scene.observe(states)).to(device)

    def __call__(self) -> Tensor:
        """Decide, and wait until it is done."""
        return self.agent.act(self._obs, self._state, self._goal).cpu()


def _head(quantity: int) -> Head:
    """A goal-type reward: bring one quantity to the middle, with a bonus there."""
    atoms = Atoms.of([(quantity, ABSOLUTE, 0.5, 1.0), (quantity, BUMP, 0.5, 0.1)])[:, None]
    open_end = torch.full((1, SIDES), torch.inf)
    box = Box(torch.full((1, SIDES), quantity), -open_end, open_end)
    return Head(atoms, torch.tensor([-3.0, 1.0, 0.0]), box, None, None, 0.0, 0.0)
