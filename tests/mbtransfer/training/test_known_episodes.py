"""What an encoder and a blind model learn from, taken from episodes in which the parameters are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.training.identification import known_episodes, without_parameters
from world_models.transitions import Transitions


def episode(told: list[list[float]]) -> Episode:
    steps = len(told)
    obs = np.concatenate([np.arange(2.0 * steps).reshape(steps, 2), told], axis=1).astype(np.float32)
    actions = np.ones((steps - 1, 1), np.float32)
    return Episode(obs, actions, np.zeros((steps, 4)), "noise", 0, False, True)


def test_parameters_are_taken_apart_from_what_else_is_observed() -> None:
    (found,) = known_episodes([episode([[0.5, -1.0]] * 3)], 2)
    assert found.obs.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found.parameters.tolist() == [0.5, -1.0]
    assert len(found) == 2
    whole = torch.from_numpy(episode([[0.5, -1.0]] * 3).obs)
    narrow = without_parameters(Transitions(whole[:-1], found.actions, whole[1:]), 2)
    assert torch.equal(narrow.obs, found.obs[:-1])
    assert torch.equal(narrow.next_obs, found.obs[1:])


@pytest.mark.parametrize(
    ("told", "parameters"), [([[0.5], [0.6], [0.5]], 1), ([[0.5]] * 3, 3), ([[0.5]] * 3, 0)]
)
def test_columns_that_are_no_parameters_are_one_line(told: list[list[float]], parameters: int) -> None:
    with pytest.raises(UserError, match="columns are not parameters of its dynamics"):
        known_episodes([episode(told)], parameters)
