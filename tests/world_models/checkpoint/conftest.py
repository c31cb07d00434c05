"""A model that was fitted and saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from world_models.checkpoint.checkpoint import save_dynamics
from world_models.dynamics.ensemble import EnsembleDynamics


@pytest.fixture
def folder(tmp_path: Path, fitted: EnsembleDynamics) -> Path:
    fitted.elites = torch.tensor([2, 0])
    save_dynamics(tmp_path / "model", fitted, {"env": "toy"}, data_hash="abc")
    return tmp_path / "model"
