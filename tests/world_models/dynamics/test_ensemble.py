from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.transitions import Transitions

Build = Callable[..., EnsembleDynamics]


def batch(train: Transitions, members: int, rows: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    part = train[:rows]
    return part.obs.expand(members, -1, -1), part.actions.expand(members, -1, -1)


@pytest.mark.parametrize("structure", ["objects", "dense"])
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
@pytest.mark.parametrize("layers", [1, 3])
def test_shapes(build: Build, train: Transitions, structure: str, head: str, layers: int) -> None:
    found = build(structure=structure, head=head, layers=layers)(*batch(train, 2))
    assert found.mean.shape == found.logvar.shape == (2, 7, 16)
    assert found.mean.isfinite().all() and found.logvar.isfinite().all()


def test_a_deterministic_head_has_unit_variance(build: Build, train: Transitions) -> None:
    assert not build()(*batch(train, 2)).logvar.any()


def test_a_gaussian_head_has_bounded_variance(build: Build, train: Transitions) -> None:
    dynamics = build(head="gaussian")
    with torch.no_grad():
        dynamics.biases[-1].fill_(1e4)
        high = dynamics(*batch(train, 2)).logvar
        dynamics.biases[-1].fill_(-1e4)
        low = dynamics(*batch(train, 2)).logvar
    assert high.isfinite().all() and low.isfinite().all()
    assert (low < high).all()


@pytest.mark.parametrize("structure", ["objects", "dense"])
def test_members_and_rows_are_independent(build: Build, train: Transitions, structure: str) -> None:
    dynamics = build(structure=structure)
    obs, actions = (part.clone() for part in batch(train, 2))
    before = dynamics(obs, actions).mean
    obs[1, 3] += 0.01
    after = dynamics(obs, actions).mean
    changed = (before != after).any(dim=-1)
    assert changed.nonzero().tolist() == [[1, 3]]


def test_members_start_apart(build: Build, train: Transitions) -> None:
    mean = build()(*batch(train, 2)).mean
    assert not torch.allclose(mean[0], mean[1])


def test_a_seed_gives_the_same_weights(build: Build) -> None:
    first, second, third = build(seed=1), build(seed=1), build(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.weights[0], third.weights[0])


def test_new_members_predict_nearly_no_change(build: Build, train: Transitions) -> None:
    assert build()(*batch(train, 2)).mean.abs().mean() < 0.3


@pytest.mark.parametrize("setting", [{"members": 0}, {"hidden": 0}, {"layers": 0}])
def test_an_empty_ensemble_is_refused(layout: Layout, setting: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="at least one"):
        EnsembleDynamics(layout, EnsembleConfig(**setting))  # type: ignore[arg-type]


def test_an_unknown_head_is_refused(layout: Layout) -> None:
    with pytest.raises(ModelError, match=r"'mixture'.*deterministic, gaussian"):
        EnsembleDynamics(layout, EnsembleConfig(head="mixture"))
