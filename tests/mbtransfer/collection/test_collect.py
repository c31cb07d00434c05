from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.collection.collect import collect, missing, open_dataset, run_unit
from mbtransfer.collection.jobs import CollectionJob, PlannerConfig, parse_mix, plan_units
from mbtransfer.collection.planning_policy import PlannerBehaviour
from mbtransfer.collection.rollout import FARTHEST, NEAREST, move_near
from mbtransfer.errors import UserError
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.objective import Reward
from mbtransfer.runtime.executors import WorkerDied, in_processes
from planners.base import Bounds
from tasks.registry import make

KITCHEN = make("kitchen")
MIX = {"babble": 1.0, "noise": 1.0}
SMALL = PlannerConfig(horizon=3, candidates=4, iterations=1, noise=0.0)


def test_units_hold_the_steps_that_were_asked_for_in_the_given_shares() -> None:
    units = plan_units(12_000, 3, episode_steps=60)
    per_behaviour = dict.fromkeys(("noise", "reach", "babble"), 0)
    for unit in units:
        per_behaviour[unit.behaviour] += unit.total_steps
    assert per_behaviour == {"noise": 600, "reach": 600, "babble": 10_800}
    assert max(unit.episodes for unit in units) == 50


def test_steps_are_rounded_up_to_whole_episodes_and_never_down_to_none() -> None:
    assert sum(unit.total_steps for unit in plan_units(61, 0, episode_steps=60)) == 120
    assert [unit.total_steps for unit in plan_units(7, 0, episode_steps=60)] == [7]


def test_every_unit_has_its_own_seed_and_key_and_gets_the_same_ones_again() -> None:
    units = plan_units(30_000, 0, MIX)
    assert len({unit.seed for unit in units}) == len({unit.key for unit in units}) == len(units)
    assert units == plan_units(30_000, 0, MIX)
    assert units[:3] == plan_units(60_000, 0, MIX)[:3]
    others = plan_units(30_000, 1, MIX)
    assert not {unit.key for unit in units} & {unit.key for unit in others}


def test_the_key_tells_models_apart_but_not_the_places_where_they_lie() -> None:
    unit = CollectionJob(
        "planner", 0, 5, 10, 60, ("drawer_open",), planning=PlannerConfig(model="a", model_digest="1")
    )
    assert unit.planning is not None
    moved = replace(unit, planning=replace(unit.planning, model="b"))
    other = replace(unit, planning=replace(unit.planning, model_digest="2"))
    assert unit.key == moved.key != other.key


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "0 steps"),
        ({"seed": -1}, "seed"),
        ({"near": 1.5}, "near a handle"),
        ({"shares": {"babel": 1.0}}, "did you mean 'babble'"),
        ({"shares": {"babble": -1.0}}, "share of babble"),
        ({"shares": {"babble": math.nan}}, "share of babble"),
        ({"shares": {"babble": 0.0}}, "nothing to collect"),
    ],
)
def test_plans_that_make_no_sense_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan_units(**({"steps": 100, "seed": 0} | changes))  # type: ignore[arg-type]


def test_a_mix_is_read_from_names_and_shares() -> None:
    assert parse_mix(["babble=0.7", "noise"]) == {"babble": 0.7, "noise": 1.0}
    for wrong in (["babble", "babble=1"], ["noise=much"]):
        with pytest.raises(UserError):
            parse_mix(wrong)


def test_what_is_there_is_not_done_again_and_the_end_is_the_same(tmp_path: Path) -> None:
    units = plan_units(240, 0, episode_steps=10, unit_episodes=5)
    whole, halves = (open_dataset(KITCHEN, str(tmp_path / name)) for name in ("whole", "halves"))
    collect(KITCHEN, whole, units)
    collect(KITCHEN, halves, units[::2])
    done: list[CollectionJob] = []
    assert missing(halves, units) == units[1::2]
    collect(KITCHEN, halves, units, progress=done.append)
    assert done == units[1::2]
    assert whole.digest == halves.digest
    assert whole.steps == 240


def test_episodes_are_tagged_and_replay_from_their_states() -> None:
    unit = CollectionJob("babble", 0, 11, 4, 6, near=0.5)
    scene = KITCHEN.make_scene(())
    for episode in run_unit("kitchen", unit):
        assert (episode.behaviour, episode.seed, len(episode)) == ("babble", 11, 6)
        again = scene.rollout(episode.state[:1], episode.actions[None])[0]
        np.testing.assert_array_equal(again, episode.state[1:])


def test_a_locked_fixture_stays_where_it_is() -> None:
    position = KITCHEN.spec.fixture("drawer").position
    unit = CollectionJob("babble", 0, 2, 20, 20, locked=("drawer",), near=1.0)
    for episode in run_unit("kitchen", unit):
        assert np.ptp(episode.obs[:, position]) < 1e-3


def test_near_starts_are_close_to_a_handle_and_touch_nothing() -> None:
    scene = KITCHEN.make_scene(())
    rng = np.random.default_rng(0)
    states = scene.sample_states(rng, 200)
    assert (move_near(scene, rng, states, 0.0) == states).all()
    moved = move_near(scene, rng, states, 1.0)
    handles = sorted({fixture.handle for fixture in scene.spec.fixtures})
    vectors = scene.observe(moved)[:, np.array(handles)]
    nearest = np.linalg.norm(vectors, axis=2).min(axis=1)
    assert (nearest > NEAREST - 0.01).all() and (nearest < FARTHEST + 0.01).mean() > 0.9
    still = scene.rollout(moved, np.zeros((200, 1, scene.spec.action_size)))[:, 0]
    velocity = np.abs(still[:, 1 + scene.model.nq :]).max(axis=1)
    assert np.quantile(velocity, 0.95) < 0.3


def test_a_planning_unit_takes_its_tasks_in_turn_and_starts_with_them_undone() -> None:
    names = ("drawer_open", "light_on")
    unit = CollectionJob("oracle", 1, 4, 3, 2, names, planning=SMALL)
    episodes = run_unit("kitchen", unit)
    turns = ("light_on", "drawer_open", "light_on")
    for episode, name in zip(episodes, turns, strict=True):
        assert episode.behaviour == "oracle"
        assert bool(KITCHEN.task(name).is_valid_start(torch.from_numpy(episode.obs[0])))
    same = run_unit("kitchen", unit)
    assert all((a.obs == b.obs).all() for a, b in zip(episodes, same, strict=True))


def test_a_planning_unit_needs_tasks() -> None:
    with pytest.raises(UserError, match="at least one task"):
        run_unit("kitchen", CollectionJob("oracle", 0, 0, 1, 2, planning=SMALL))


@pytest.mark.slow
def test_the_oracle_solves_what_it_shows() -> None:
    unit = CollectionJob(
        "oracle", 0, 0, 3, 60, ("drawer_open", "tap_open", "light_on"), planning=PlannerConfig(noise=0.1)
    )
    ends = [
        KITCHEN.task(name).success(torch.from_numpy(episode.obs)).any()
        for name, episode in zip(unit.tasks, run_unit("kitchen", unit), strict=True)
    ]
    assert all(ends)


class _Still(MPCAgent):
    """An agent that never moves."""

    def __init__(self) -> None:
        self.bounds = Bounds(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 2.0]))

    def act(self, obs: torch.Tensor, state: np.ndarray, reward: Reward) -> torch.Tensor:
        return torch.zeros(len(obs), 2)


def test_noise_on_a_plan_has_the_given_spread_and_stays_in_the_box() -> None:
    behaviour = PlannerBehaviour(_Still(), KITCHEN.task("tap_open").reward, 0.3, np.random.default_rng(0))
    obs, state = np.zeros((500, 3), np.float32), np.zeros((500, 4))
    actions = np.array([behaviour.act(obs, state) for _ in range(10)])
    assert actions.std(axis=(0, 1)) == pytest.approx([0.3, 0.6], rel=0.1)
    assert (np.abs(actions) <= [1.0, 2.0]).all()
    step = np.diff(actions[..., 0], axis=0).std()
    assert step < actions[..., 0].std()  # a walk, not a tremble


def test_processes_give_each_item_its_own_result() -> None:
    found = dict(in_processes(math.sqrt, [1.0, 4.0, 9.0], workers=2))
    assert found == {1.0: 1.0, 4.0: 2.0, 9.0: 3.0}


def test_an_error_in_a_process_reaches_the_caller_and_a_dead_process_is_told() -> None:
    with pytest.raises(RuntimeError, match="math domain error") as raised:
        list(in_processes(math.sqrt, [1.0, -1.0], workers=2))
    assert any("Traceback" in note for note in raised.value.__notes__)
    with pytest.raises(WorkerDied, match="code 3"):
        list(in_processes(os._exit, [3, 3], workers=2))
