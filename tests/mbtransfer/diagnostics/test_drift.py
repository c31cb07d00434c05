"""Whether intervals still hold: known shares inside, counted per episode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mbtransfer.diagnostics.drift import OneStep, column_groups, drift, holm
from mbtransfer.model import model_layout
from tasks.registry import make

GROUPS = {"fixtures": [0], "hand": [1]}


def seen(inside: tuple[float, float], episodes: int, steps: int = 10) -> tuple[OneStep, np.ndarray]:
    """Two columns that always move; in each episode that share of them lies inside its interval."""
    episode = np.repeat(np.arange(episodes), steps)
    rank = torch.arange(steps).repeat(episodes)[:, None]
    ones = torch.ones(episodes * steps, 2)
    return OneStep(0.5 * ones, ones, rank < steps * torch.tensor(inside), ones.bool()), episode


def test_the_group_whose_intervals_fail_has_drifted() -> None:
    found = drift(*seen((0.5, 0.9), 100), GROUPS)
    assert found["fixtures"]["drifted"] and not found["hand"]["drifted"]
    assert found["fixtures"]["coverage"] == pytest.approx(0.5) and found["fixtures"]["episodes"] == 100
    assert found["fixtures"]["p_value"] < 1e-6 and found["hand"]["p_value"] > 0.5


def test_an_episode_counts_once_however_long_it_is() -> None:
    """Two episodes cannot prove a drift, even if not one of their thousands of entries lies inside."""
    found = drift(*seen((0.0, 0.9), 3, steps=1000), GROUPS)["fixtures"]
    assert found["episodes"] == 3 and found["p_value"] == pytest.approx(0.15**3)
    assert drift(*seen((0.0, 0.9), 2, steps=1000), GROUPS)["fixtures"]["drifted"] is False


@pytest.mark.parametrize("few", [10, 100])
def test_false_alarms_are_rare_though_episodes_are_good_or_bad_as_a_whole(few: int) -> None:
    """Seven episodes in ten lie inside wholly, the others by half: 85% on average, as at worst without drift."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        part, episode = seen((1.0, 1.0), few)
        bad = torch.from_numpy(rng.random(few) < 0.3)[torch.from_numpy(episode)]
        half = torch.arange(len(bad)) % 2 == 0
        wrong = OneStep(part.error, part.change, part.inside & ~(bad & half)[:, None], part.moves)
        alarms += drift(wrong, episode, {"all": [0]})["all"]["drifted"]
    assert alarms <= 9  # 3 are expected; of 10 or more the probability is 0.1%


def test_a_group_at_rest_tells_nothing() -> None:
    part, episode = seen((0.5, 0.9), 50)
    still = OneStep(part.error, 0 * part.change, part.inside, part.moves & torch.tensor([False, True]))
    found = drift(still, episode, GROUPS)["fixtures"]
    assert found == {
        "episodes": 0, "coverage": None, "p_value": None, "drifted": False,
    }  # fmt: skip
    assert still.relative_error([0]) is None and part.relative_error([0]) == pytest.approx(0.5)


def test_holm_is_stricter_with_more_hypotheses_and_stops_at_the_first_that_holds() -> None:
    assert holm({"a": 0.004, "b": 0.006, "c": 0.9}, 0.01) == set()
    assert holm({"a": 0.003, "b": 0.004, "c": 0.9}, 0.01) == {"a", "b"}
    assert holm({"a": 0.01}, 0.01) == {"a"}
    assert holm({}, 0.01) == set()


def test_the_columns_of_the_kitchen_are_each_in_one_group() -> None:
    layout = model_layout(make("kitchen").spec)
    groups = column_groups(layout)
    assert sorted(c for columns in groups.values() for c in columns) == list(range(layout.obs_size))
    assert layout.hand is not None and set(layout.hand.positions) <= set(groups["hand"])
    assert all(set(body.positions) <= set(groups["fixtures"]) for body in layout.objects)
