"""A point mass is pushed: its acceleration tells its mass, and nothing tells what does not act."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from world_models.errors import ModelError
from world_models.identification.encoder import EncoderConfig, ParameterEncoder
from world_models.identification.fit import (
    IdentificationConfig,
    KnownEpisode,
    explained,
    fit_encoder,
    identified,
)

DT, FORCE = 0.05, 2.0


def push(count: int, steps: int, seed: int) -> list[KnownEpisode]:
    """Episodes of points of log mass -0.7 to 0.7, and a second parameter that acts on nothing."""
    generator = torch.Generator().manual_seed(seed)
    parameters = 1.4 * torch.rand(count, 2, generator=generator) - 0.7
    actions = 2 * torch.rand(count, steps, 1, generator=generator) - 1
    place, speed = torch.zeros(count, 1), torch.zeros(count, 1)
    path = [torch.cat([place, speed], dim=1)]
    for t in range(steps):
        speed = speed + DT * FORCE * actions[:, t] / parameters[:, :1].exp()
        place = place + DT * speed
        path.append(torch.cat([place, speed], dim=1))
    obs = torch.stack(path, dim=1)
    return [KnownEpisode(*one) for one in zip(obs, actions, parameters, strict=True)]


def truth(episodes: list[KnownEpisode]) -> Tensor:
    return torch.stack([one.parameters for one in episodes])


@pytest.fixture(scope="module")
def encoder() -> ParameterEncoder:
    config = IdentificationConfig(updates=800, window=20, learning_rate=1e-2)
    return fit_encoder(push(500, 20, 0), config, EncoderConfig(hidden=48, embedding=16))


def test_the_mass_is_identified_and_what_does_not_act_is_not(encoder: ParameterEncoder) -> None:
    new = push(100, 20, 1)
    mass, nothing = explained(truth(new), identified(encoder, new, 20, 20).mean).tolist()
    assert mass > 0.99
    assert nothing < 0.2


def test_doubt_is_as_large_as_the_error_and_shrinks_with_transitions(encoder: ParameterEncoder) -> None:
    new = push(200, 20, 2)
    one, all_ = (identified(encoder, new, steps, 20) for steps in (1, 20))
    assert all_.deviation[:, 0].mean() < 0.5 * one.deviation[:, 0].mean()
    off = (truth(new) - all_.mean) / all_.deviation
    assert 0.5 < float(off.square().mean().sqrt()) < 2.0
    spread = truth(new)[:, 1].std()
    assert 0.7 * spread < all_.deviation[:, 1].mean() < 1.3 * spread


def test_the_order_of_transitions_does_not_matter(encoder: ParameterEncoder) -> None:
    one = push(1, 20, 3)[0]
    embedded = encoder.embed(one.obs[:-1], one.actions, one.obs[1:])[None]
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    first, other = encoder.believe(embedded), encoder.believe(embedded[:, order])
    torch.testing.assert_close(first.mean, other.mean)
    torch.testing.assert_close(first.deviation, other.deviation)


def test_only_the_last_transitions_of_the_window_count(encoder: ParameterEncoder) -> None:
    one = push(1, 20, 4)[0]
    later = KnownEpisode(one.obs[15:], one.actions[15:], one.parameters)
    whole, end = identified(encoder, [one], 20, 5), identified(encoder, [later], 5, 20)
    assert torch.equal(whole.mean, end.mean)
    assert not torch.equal(whole.mean, identified(encoder, [one], 19, 5).mean)


def test_the_same_seed_gives_the_same_encoder() -> None:
    config = IdentificationConfig(updates=3)
    first, same = (fit_encoder(push(4, 6, 0), config, seed=1) for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), same.state_dict().values(), strict=True)
    )


def test_explained_is_one_for_the_truth_and_zero_for_its_mean() -> None:
    values = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    assert explained(values, values)[0] == 1
    assert explained(values, values.mean(dim=0).expand(3, 2))[0] == 0
    assert bool(explained(values, values)[1].isnan())


def test_wrong_input_is_one_line(encoder: ParameterEncoder) -> None:
    with pytest.raises(ModelError, match="cannot be identified from no transitions"):
        encoder.believe(torch.zeros(2, 0, 16))
    with pytest.raises(ModelError, match="an encoder needs episodes of one kind, not of sizes"):
        fit_encoder([])
    with pytest.raises(ModelError, match="an encoder cannot be trained so"):
        fit_encoder(push(2, 3, 0), IdentificationConfig(updates=0))
    with pytest.raises(ModelError, match="sizes of at least 1"):
        ParameterEncoder(0, 1, 1)
