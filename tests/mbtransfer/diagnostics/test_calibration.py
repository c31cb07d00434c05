from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mbtransfer.diagnostics.calibration import BINS, calibrate, disagreement_and_error
from mbtransfer.model import Model
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Segments, Transitions


def still(model: Model, members: int = 2) -> EnsembleDynamics:
    """An ensemble that expects nothing to move."""
    dynamics = EnsembleDynamics(model.dynamics.layout, EnsembleConfig(members=members, hidden=4))
    with torch.no_grad():
        for parameter in dynamics.parameters():
            parameter.zero_()
    return dynamics


def stretches(model: Model, count: int = 20, horizon: int = 4) -> Segments:
    """The pool's transitions in a row, whatever lies between them: only their shape matters here."""
    obs = model.pool.obs[: count * (horizon + 1)].unflatten(0, (count, horizon + 1))
    return Segments(obs.clone(), model.pool.actions[: count * horizon].unflatten(0, (count, horizon)))


def test_what_it_holds(fitted: Model) -> None:
    found = calibrate(fitted.dynamics, stretches(fitted), fitted.pool)
    horizon, error, naive = found["horizon_error"].values()
    assert horizon == [1, 2, 3, 4] and len(error) == len(naive) == 4
    assert all(value > 0 for value in (*error, *naive))
    percentiles = found["disagreement_percentiles"]
    assert len(percentiles) == 101 and percentiles == sorted(percentiles)
    bins = found["disagreement"]
    assert len(bins["disagreement"]) == len(bins["error"]) == BINS
    assert bins["disagreement"] == sorted(bins["disagreement"])
    assert -1 <= bins["spearman"] <= 1


def test_a_model_in_which_nothing_moves_errs_as_the_naive_forecast(fitted: Model) -> None:
    found = calibrate(still(fitted), stretches(fitted), fitted.pool)
    low, high = (torch.tensor(x) for x in (fitted.dynamics.layout.low, fitted.dynamics.layout.high))
    assert bool(((fitted.pool.obs >= low) & (fitted.pool.obs <= high)).all())  # no clamp plays a part
    assert found["horizon_error"]["model"] == pytest.approx(found["horizon_error"]["naive"], rel=1e-4)


@pytest.mark.parametrize("members", [1, 2])
def test_members_that_agree_have_no_rank_to_tell(fitted: Model, members: int) -> None:
    found = calibrate(still(fitted, members), stretches(fitted), fitted.pool)
    assert found["disagreement"]["spearman"] == 0.0
    assert set(found["disagreement_percentiles"]) == {0.0}


def test_disagreement_and_error_by_hand(drifting: Callable[..., Model]) -> None:
    model = drifting()
    dynamics, hand = model.dynamics, model.environment.spec.hand[0]
    with torch.no_grad():  # the second member's hand goes twice as far
        dynamics.weights[1][dynamics.blocks] *= 2
    obs = model.pool.obs[:1].clone()
    obs[:, 26:] = 2.0  # every fixture is out of reach
    action = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    data = Transitions(obs, action, obs.clone())
    spread, error = disagreement_and_error(dynamics, data)
    handles = {f.handle[0] for f in model.environment.spec.fixtures}
    step = torch.stack([0.06 / dynamics.normalizer.change[i] for i in (hand, *handles)])
    size = obs.shape[1]
    assert float(spread[0]) == pytest.approx(float((0.5 * step).square().sum() / size) ** 0.5, rel=1e-3)
    assert float(error[0]) == pytest.approx(float((1.5 * step).square().sum() / size) ** 0.5, rel=1e-3)
