"""A slider that was locked in all pooled data is freed: a few episodes teach it, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from world_models.adaptation.adapt import Adapted, FineTuningConfig, adapt, away_from, rescale, surprising
from world_models.checkpoint.storage import digest
from world_models.dynamics.blocks import REACH
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.transitions import Transitions

Play = Callable[..., Transitions]

RIGHT, RIGHT_V = 4, 9


@pytest.fixture(scope="module")
def pool(play: Play) -> Transitions:
    """What the model was fitted on: the right slider is locked."""
    return play(20, 60, 0, (1.0, 0.0))


@pytest.fixture(scope="module")
def new(play: Play) -> Transitions:
    """Four episodes in which it moves."""
    return play(4, 60, 5)


@pytest.fixture(scope="module")
def held_out(play: Play) -> Transitions:
    return play(2, 60, 6)


@pytest.fixture(scope="module")
def _adapted(
    _locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions
) -> tuple[str, Adapted]:
    before = digest(_locked.state_dict())
    return before, adapt(_locked, pool, new, held_out)


def change(dynamics: EnsembleDynamics, data: Transitions) -> Tensor:
    """What each member expects of a step, in the columns' units."""
    members = dynamics.config.members
    mean = dynamics(data.obs.expand(members, -1, -1), data.actions.expand(members, -1, -1)).mean
    return mean.detach() * dynamics.normalizer.change


def missed(dynamics: EnsembleDynamics, data: Transitions, column: int) -> float:
    """Share of a column's movement that the ensemble's mean leaves unexplained."""
    truth = (data.next_obs - data.obs)[:, column]
    error = change(dynamics, data).mean(dim=0)[:, column] - truth
    return float(error.square().sum() / truth.square().sum())


def block(dynamics: EnsembleDynamics, k: int) -> list[Tensor]:
    rows = torch.arange(dynamics.config.members) * dynamics.blocks + k
    return [parameter[rows] for parameter in (*dynamics.weights, *dynamics.biases)]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_freed_slider_is_learned(
    locked: EnsembleDynamics, _adapted: tuple[str, Adapted], play: Play
) -> None:
    found, fresh = _adapted[1], play(10, 60, 7)
    assert found.taught == ("right",) and found.donors["right"].startswith("left(")
    before, after = missed(locked, fresh, RIGHT), missed(found.dynamics, fresh, RIGHT)
    assert before > 0.8 and after < 0.3 * before
    assert found.after < found.before < 10  # in the same scales


def test_what_was_known_stays_bit_for_bit(
    locked: EnsembleDynamics, _adapted: tuple[str, Adapted], pool: Transitions
) -> None:
    model = _adapted[1].dynamics
    for k in (0, 1):
        assert same(block(model, k), block(locked, k))
    assert not same(block(model, 2), block(locked, 2))
    far = pool[pool.obs[:, 13:16].norm(dim=1) > 0.6]
    assert len(far) > 20
    torch.testing.assert_close(change(model, far), change(locked, far), atol=1e-4, rtol=1e-3)


def test_the_given_dynamics_never_change(_locked: EnsembleDynamics, _adapted: tuple[str, Adapted]) -> None:
    assert digest(_locked.state_dict()) == _adapted[0]
    assert all(parameter.requires_grad for parameter in _locked.parameters())
    assert not any(parameter._backward_hooks for parameter in _adapted[1].dynamics.parameters())


def test_it_is_reproducible(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions
) -> None:
    config = FineTuningConfig(epochs=1, steps_per_epoch=5)
    one, other = (adapt(locked, pool, new, held_out, config) for _ in range(2))
    assert digest(one.dynamics.state_dict()) == digest(other.dynamics.state_dict())
    shuffled = adapt(locked, pool, new, held_out, config, seed=1)
    assert digest(shuffled.dynamics.state_dict()) != digest(one.dynamics.state_dict())


def test_new_transitions_that_hold_no_surprise_teach_what_moved_without_a_donor(
    locked: EnsembleDynamics, pool: Transitions, play: Play
) -> None:
    known, more = play(2, 60, 8, (1.0, 0.0)), play(1, 60, 9, (1.0, 0.0))
    found = adapt(locked, pool, known, more, FineTuningConfig(epochs=2, steps_per_epoch=10))
    assert found.taught == ("left",) and found.donors == {}
    assert same(block(found.dynamics, 2), block(locked, 2))
    assert found.after <= found.before * (1 + 1e-5)  # a member that no epoch improves stays as it is


def test_a_dense_model_is_adapted_as_a_whole(
    play: Play, pool: Transitions, new: Transitions, held_out: Transitions, build: Callable[..., EnsembleDynamics]
) -> None:  # fmt: skip
    dynamics = build(structure="dense")
    dynamics.normalizer.fit(pool.obs, pool.next_obs)
    before = digest(dynamics.state_dict())
    found = adapt(dynamics, pool, new, held_out, FineTuningConfig(epochs=2, steps_per_epoch=20))
    assert found.donors == {} and found.after < found.before
    assert digest(dynamics.state_dict()) == before


def test_which_objects_surprise(locked: EnsembleDynamics, pool: Transitions, new: Transitions) -> None:
    assert surprising(locked, new) == ([1], True)
    assert surprising(locked, pool) == ([0], False)
    resting = pool[(pool.next_obs - pool.obs)[:, 3].abs() < 1e-6]
    assert surprising(locked, resting) == ([], False)


def test_rescaling_preserves_predictions(locked: EnsembleDynamics, pool: Transitions) -> None:
    """Here columns without limits move five times as fast as ever before."""
    obs, after = pool.obs, pool.next_obs.clone()
    after[:, 5:] += 4 * (after - obs)[:, 5:]
    after[:, RIGHT_V] += 0.05
    before, scales = change(locked, pool), locked.normalizer.change.clone()
    rescale(locked, Transitions(obs, pool.actions, after))
    grown = locked.normalizer.change > scales
    assert grown[5:].all() and not grown[:5].any()
    torch.testing.assert_close(change(locked, pool), before, atol=1e-6, rtol=1e-5)


def test_rescaling_a_joint_changes_what_is_felt_near_it_only(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions
) -> None:
    far = pool[pool.obs[:, 13:16].norm(dim=1) > 0.6]
    before, scale = change(locked, far), float(locked.normalizer.change[RIGHT])
    rescale(locked, new)
    assert float(locked.normalizer.change[RIGHT]) > 2 * scale
    assert len(far) > 10
    torch.testing.assert_close(change(locked, far), before, atol=1e-5, rtol=0)


def test_rescaling_by_what_is_known_changes_nothing(locked: EnsembleDynamics, pool: Transitions) -> None:
    before = digest(locked.state_dict())
    rescale(locked, pool)
    assert digest(locked.state_dict()) == before


def test_the_pool_is_replayed_away_from_what_is_taught(locked: EnsembleDynamics, pool: Transitions) -> None:
    kept = away_from(locked, pool, [1])
    distance = pool.obs[:, 13:16].norm(dim=1)
    assert len(kept) == int((distance >= REACH).sum()) and 0 < len(kept) < len(pool)
    assert float(kept.obs[:, 13:16].norm(dim=1).min()) >= REACH
    near = pool[distance < REACH]
    assert away_from(locked, near, [1]) is near  # nothing else to replay


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_transitions_that_cannot_teach_are_refused(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions, bad: int
) -> None:
    elsewhere = Transitions(new.obs[:, :5], new.actions, new.next_obs[:, :5])
    for wrong, words in ((new[slice(0, 0)], "no transitions"), (elsewhere, "5 observation columns")):
        parts = [pool, new, held_out]
        parts[bad] = wrong
        with pytest.raises(ModelError, match=words):
            adapt(locked, *parts)
