from __future__ import annotations

import torch

from world_models.layout import Layout
from world_models.normalizer import Normalizer
from world_models.transitions import Transitions


def test_limited_columns_are_scaled_by_their_limits(layout: Layout, train: Transitions) -> None:
    scales = Normalizer(layout)
    scales.fit(train.obs, train.next_obs)
    assert torch.allclose(scales.scale[:5], torch.tensor([0.5, 0.5, 0.5, 0.1, 0.1]))
    assert torch.equal(scales.centre[:5], torch.zeros(5))


def test_other_columns_are_scaled_by_the_data(layout: Layout, train: Transitions) -> None:
    scales = Normalizer(layout)
    scales.fit(train.obs, train.next_obs)
    scaled = (train.obs - scales.centre) / scales.scale
    moving = train.obs[:, 5:].std(dim=0) > 1e-3
    assert torch.allclose(scaled[:, 5:][:, moving].std(dim=0), torch.ones(int(moving.sum())), atol=1e-3)


def test_rest_does_not_shrink_the_scale_of_change(layout: Layout, generator: torch.Generator) -> None:
    obs = torch.zeros(1000, 16)
    change = torch.zeros(1000, 16)
    change[:50, 3] = 0.02  # moves in one of twenty samples
    scales = Normalizer(layout)
    scales.fit(obs, obs + change)
    assert torch.isclose(scales.change[3], torch.tensor(0.02), atol=1e-6)


def test_what_never_moved_keeps_a_finite_scale(layout: Layout) -> None:
    obs = torch.zeros(100, 16)
    scales = Normalizer(layout)
    scales.fit(obs, obs)
    for value in scales.state_dict().values():
        assert value.isfinite().all()
    assert (scales.scale > 0).all() and (scales.change > 0).all()


def test_scales_are_saved_with_the_model(layout: Layout) -> None:
    assert set(Normalizer(layout).state_dict()) == {"centre", "scale", "change"}
