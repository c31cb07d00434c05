"""Where a recipe starts."""

from __future__ import annotations

import numpy as np
import pytest

from mbtransfer.evaluation.episodes import first_targets, recipe_starts
from mbtransfer.mpc.controller import Controller
from tasks.recipe import find_recipe
from tasks.task import FAR
from tests.mbtransfer.evaluation.tiny import KITCHEN


@pytest.mark.parametrize("name", ["tea", "night", "soup"])
def test_every_fixture_of_a_recipe_starts_away_from_its_first_target(
    controller: Controller, name: str
) -> None:
    recipe = find_recipe(name, KITCHEN)
    states = recipe_starts(controller.scene, recipe, 0, 3)
    obs = controller.scene.observe(states)
    for fixture, to in first_targets(recipe).items():
        assert (np.abs(obs[:, fixture.position] - to) >= FAR * fixture.span - 1e-6).all()
    assert np.array_equal(states, recipe_starts(controller.scene, recipe, 0, 3))
    assert not np.array_equal(states, recipe_starts(controller.scene, recipe, 1, 3))
