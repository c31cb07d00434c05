"""A kitchen dataset and two models of it: one fitted for a moment, one whose physics are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mbtransfer.collection.collect import collect, open_dataset
from mbtransfer.collection.jobs import plan_units
from mbtransfer.data import Dataset
from mbtransfer.data.coverage import BINS, Coverage
from mbtransfer.model import Model, model_layout
from mbtransfer.training.fit import fit_model
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.training.trainer import TrainingConfig
from world_models.transitions import Transitions

SHAPE = EnsembleConfig(members=2, hidden=8)
SETTINGS = TrainingConfig(epochs=2)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 episodes of 30 control steps."""
    kitchen, path = make("kitchen"), tmp_path_factory.mktemp("pool") / "data"
    found = open_dataset(kitchen, str(path))
    collect(kitchen, found, plan_units(1200, 0, episode_steps=30, unit_episodes=10))
    return found


@pytest.fixture(scope="session")
def fitted_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; do not change it."""
    path = tmp_path_factory.mktemp("fitted") / "model"
    fit_model(make("kitchen"), dataset, path, shape=SHAPE, settings=SETTINGS, device="cpu")
    return path


@pytest.fixture
def fitted(fitted_folder: Path) -> Model:
    """That model, read anew."""
    return Model.load(fitted_folder, device="cpu")


@pytest.fixture
def drifting() -> Callable[..., Model]:
    """`drifting(visited=...)`: a model that expects every fixture in reach of the hand to open by itself.

    The hand follows the action exactly. `visited` names the fixtures that the pool is said to have moved.
    """
    return _drifting


def _drifting(visited: tuple[str, ...] = (), rows: int = 1000) -> Model:
    kitchen = make("kitchen")
    layout, spec = model_layout(kitchen.spec), kitchen.spec
    dynamics = EnsembleDynamics(layout, EnsembleConfig(members=2, hidden=8, layers=1))
    reads = dynamics.reads[0].tolist()
    actions = [reads.index(dynamics.reads.max() - layout.action_size + axis) for axis in range(3)]
    with torch.no_grad():
        for parameter in (*dynamics.weights, *dynamics.biases):
            parameter.zero_()
        for member in range(2):
            first = member * dynamics.blocks
            for axis, (action, unit) in enumerate(zip(actions, dynamics.unit[0, :3].tolist(), strict=True)):
                for half, sign in enumerate((1.0, -1.0)):
                    dynamics.weights[0][first, 2 * axis + half, action] = sign
                    move = 0.06 * sign / float(dynamics.normalizer.change[unit])
                    dynamics.weights[1][first, axis, 2 * axis + half] = move
            for k, body in enumerate(layout.objects):
                for y, column in enumerate(body.positions):
                    span = layout.high[column] - layout.low[column]
                    drift = 0.05 * span / float(dynamics.normalizer.change[column])
                    dynamics.biases[1][first + 1 + k, y] = drift
    scene = kitchen.make_scene(())
    obs = torch.from_numpy(scene.observe(scene.sample_states(np.random.default_rng(0), rows)))
    pool = Transitions(obs, torch.zeros(rows, spec.action_size), obs)
    counts = {f.name: (100 if f.name in visited else 0,) * BINS for f in spec.fixtures}
    notes = {"data": "", "disagreement_percentiles": [i / 100 for i in range(101)]}
    return Model(kitchen, dynamics, pool, Coverage(counts), notes)


@pytest.fixture
def method_file(tmp_path: Path) -> Path:
    """A file with a transfer method of one's own, `still`, that does nothing."""
    path = tmp_path / "mine.py"
    path.write_text(
        """
import torch
from mbtransfer.transfer.method import Method, Solution

class Still(Method):
    name = "still"

    def pretrain(self, sources):
        return sources

    def solve(self, sources, target):
        return Solution(lambda obs: torch.zeros(len(obs), env.spec.action_size))
"""
    )
    return path


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, each with room for one task at a time.

    One for all tests: a process that has left one cluster does not do well in the next.
    """
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()
