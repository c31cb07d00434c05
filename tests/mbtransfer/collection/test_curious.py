"""Curious collection plans for disagreement, and for no reward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mbtransfer.collection.collect import run_unit
from mbtransfer.collection.jobs import CollectionJob, PlannerConfig
from mbtransfer.model import model_layout
from tasks.registry import make
from world_models.checkpoint.checkpoint import save_dynamics
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics


def test_it_goes_where_the_members_disagree(tmp_path: Path) -> None:
    """They agree but for what the first action column does: it is used more than in plans without curiosity."""
    body = make("dm_control:cartpole")
    config = EnsembleConfig(members=3, structure="dense", hidden=8, layers=1)
    dynamics = EnsembleDynamics(model_layout(body.spec), config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for values in (*dynamics.weights, *dynamics.biases):
            values.copy_(values[:1].expand_as(values))
        first = dynamics.weights[0]
        first[..., -body.spec.action_size :] = torch.tensor([0.0, 1.0, -1.0])[:, None, None]
        dynamics.weights[-1].abs_()
    save_dynamics(tmp_path / "model", dynamics)

    def used(bonus: float) -> float:
        planning = PlannerConfig(
            model=str(tmp_path / "model"), bonus=bonus, noise=0.0, horizon=3, candidates=32, iterations=3
        )
        episodes = run_unit("dm_control:cartpole", CollectionJob("curious", 0, 1, 2, 6, planning=planning))
        assert {episode.behaviour for episode in episodes} == {"curious"}
        return float(np.mean([np.abs(episode.actions).mean() for episode in episodes]))

    assert used(1.0) > 2 * used(0.0)
