"""Many episodes of different tasks in one call: the kitchen with a network and reward heads that learned nothing."""

import numpy as np
import torch
from torch import Tensor

from mbtransfer.agent import MPCAgent, action_bounds
from mbtransfer.evaluation.pilot import PARTICLES, PLANNER
from mbtransfer.goal import Goal
from mbtransfer.layout import model_layout
from mbtransfer.objective import LearnedDynamics
from planners.registry import make_planner
from tasks.registry import make
from world_models.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.imagine import Imagination
from world_models.precision import Precision
from world_models.rewards.atoms import ABSOLUTE, BUMP, Atoms, quantity_names
from world_models.rewards.boxes import SIDES, Box
from world_models.rewards.head import Head
from world_models.rewards.reward import RewardHeads


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
        quantities = len(quantity_names(layout))
        heads = RewardHeads(
            layout, {name: _head(k % quantities).to(torch.device(device)) for k, name in enumerate(names)}
        )
        bounds = action_bounds(kitchen.spec, device)
        self.imagination = Imagination(dynamics, PARTICLES, precision=precision)
        self.agent = MPCAgent(LearnedDynamics(self.imagination), make_planner(PLANNER, bounds), bounds)
        turns = torch.arange(episodes) % tasks
        self._goal = Goal(heads, torch.eye(tasks)[turns].to(device))
        scene = kitchen.make_scene(())
        states = scene.sample_states(np.random.default_rng(0), episodes)
        self._state, self._obs = states, torch.from_numpy(scene.observe(states)).to(device)

    def __call__(self) -> Tensor:
        """Decide, and wait until it is done."""
        return self.agent.act(self._obs, self._state, self._goal).cpu()


def _head(quantity: int) -> Head:
    """A goal-type reward: bring one quantity to the middle, with a bonus there."""
    which = torch.tensor([quantity, quantity])
    atoms = Atoms(which, torch.tensor([ABSOLUTE, BUMP]), torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.1]))
    open_end = torch.full((SIDES,), torch.inf)
    box = Box(torch.full((SIDES,), quantity), -open_end, open_end)
    return Head(atoms, torch.tensor([-3.0, 1.0, 0.0]), box, None, None, 0.0, 0.0)
