from __future__ import annotations

from dataclasses import replace

import numpy as np

from mbtransfer.collection.collect import run_unit
from mbtransfer.collection.jobs import CollectionJob, PlannerConfig
from mbtransfer.collection.rollout import STEPS, TAG, branch
from tasks.registry import make

PLANNING = PlannerConfig(
    horizon=3, candidates=4, iterations=1, replan=2, chain=True, branches=2, settings=("knots=2",)
)
UNIT = CollectionJob("oracle", 0, 4, 2, STEPS + 3, ("drawer_open", "light_on"), planning=PLANNING)


def test_branches_leave_episodes_at_states_of_theirs_and_replay() -> None:
    scene = make("kitchen").make_scene(())
    episodes = run_unit("kitchen", UNIT)
    whole, sides = episodes[:2], episodes[2:]
    assert [episode.behaviour for episode in episodes] == ["oracle"] * 2 + [TAG] * 4
    for k, side in enumerate(sides):
        at = np.flatnonzero((whole[k // 2].state == side.state[0]).all(axis=1))
        assert len(side) == STEPS and len(at) == 1
        assert np.abs(side.actions - whole[k // 2].actions[at[0] : at[0] + STEPS]).max() > 0.02
        np.testing.assert_array_equal(scene.rollout(side.state[:1], side.actions[None])[0], side.state[1:])


def test_no_branches_where_none_are_asked_for_or_episodes_are_short() -> None:
    scene, rng = make("kitchen").make_scene(()), np.random.default_rng(0)
    episodes = run_unit("kitchen", replace(UNIT, steps=3))
    assert len(episodes) == 2
    assert branch(scene, episodes, 3, rng) == branch(scene, episodes, 0, rng) == []
