"""A pilot that needs no model, and a model that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.collection.policies import Babble
from mbtransfer.collection.rollout import run_lockstep
from mbtransfer.data.coverage import Coverage
from mbtransfer.evaluation import simulator_controller
from mbtransfer.model import Model, model_layout
from mbtransfer.mpc.controller import Controller
from tests.mbtransfer.evaluation.tiny import KITCHEN, SEARCH
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Transitions


@pytest.fixture(scope="session")
def controller() -> Controller:
    """The true simulator and true rewards."""
    return simulator_controller(KITCHEN, settings=SEARCH)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned nothing, with a small pool: enough to see that all parts meet."""
    folder, scene, rng = tmp_path_factory.mktemp("model"), KITCHEN.make_scene(()), np.random.default_rng(0)
    babble = Babble(KITCHEN.spec, 10, rng)
    episodes = run_lockstep(scene, babble, scene.sample_states(rng, 10), 20, tag="babble", seed=0)
    obs, actions, following = (
        np.concatenate(parts)
        for parts in zip(*((e.obs[:-1], e.actions, e.obs[1:]) for e in episodes), strict=True)
    )
    dynamics = EnsembleDynamics(
        model_layout(KITCHEN.spec), EnsembleConfig(members=2, hidden=8), torch.Generator().manual_seed(0)
    )
    pool = Transitions(*(torch.from_numpy(part) for part in (obs, actions, following)))
    Model(KITCHEN, dynamics, pool, Coverage.of(KITCHEN.spec, obs, following), {"data": "x"}).save(folder)
    return folder
