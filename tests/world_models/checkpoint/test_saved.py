"""A model comes back as it was saved, and a kill while saving leaves one of the two."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.world_models.checkpoint.saved import weights_file
from world_models.checkpoint.checkpoint import load_dynamics, save_dynamics
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


def test_a_model_comes_back_bit_for_bit(
    folder: Path, fitted: EnsembleDynamics, layout: Layout, train: Transitions
) -> None:
    found, manifest = load_dynamics(folder, expect=layout)
    assert found.config == fitted.config and found.layout == fitted.layout
    assert found.elites.tolist() == [2, 0]
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in fitted.state_dict().items())
    obs, actions = (x[:9].expand(3, -1, -1) for x in (train.obs, train.actions))
    assert torch.equal(found(obs, actions).mean, fitted(obs, actions).mean)
    assert manifest["extra"] == {"env": "toy"} and manifest["data_hash"] == "abc"
    assert manifest["libraries"]["torch"].startswith("2.")


@pytest.mark.parametrize("settings", [{"structure": "dense"}, {"head": "gaussian", "layers": 3}])
def test_every_kind_of_ensemble_is_saved(build: Build, tmp_path: Path, settings: dict[str, Any]) -> None:
    dynamics = build(**settings)
    save_dynamics(tmp_path, dynamics)
    assert load_dynamics(tmp_path)[0].config == dynamics.config


def test_notes_that_are_not_numbers_become_null(build: Build, tmp_path: Path) -> None:
    save_dynamics(tmp_path, build(), {"errors": [1.0, float("nan")], "of": {"spearman": float("inf")}})
    assert load_dynamics(tmp_path)[1]["extra"] == {"errors": [1.0, None], "of": {"spearman": None}}


def test_a_new_model_replaces_the_old_one(folder: Path, build: Build) -> None:
    old = weights_file(folder)
    save_dynamics(folder, build())
    assert not old.exists()
    assert sorted(file.name for file in folder.iterdir()) == [weights_file(folder).name, "manifest.json"]


def test_a_kill_at_any_write_leaves_one_of_the_two_models(
    folder: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, new = load_dynamics(folder)[0].state_dict(), build()
    seen = set()
    for deadly in range(1, 20):
        calls = iter(range(1, 100))

        def dying(name: str, deadly: int = deadly, calls: Any = calls) -> Callable[..., Any]:
            real = getattr(os, name)

            def call(*args: Any, **keywords: Any) -> Any:
                if next(calls) >= deadly:
                    raise KeyboardInterrupt
                return real(*args, **keywords)

            return call

        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "unlink"):
                patch.setattr(os, name, dying(name))
            try:
                save_dynamics(folder, new)
                killed = False
            except KeyboardInterrupt:
                killed = True
        found = load_dynamics(folder)[0]
        seen.add(found.config.members)
        if found.config.members == 3:
            assert all(torch.equal(before[name], value) for name, value in found.state_dict().items())
        if not killed:
            break
    assert seen == {2, 3} and not killed


def test_a_model_that_is_not_finite_is_not_saved(folder: Path, fitted: EnsembleDynamics) -> None:
    with torch.no_grad():
        fitted.weights[1][0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"weights\.1 that is not finite"):
        save_dynamics(folder, fitted)
    load_dynamics(folder)
