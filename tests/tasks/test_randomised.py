"""Hidden parameters: every row moves as its variant does, and is told what it should be."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.hidden_parameters import Ranges
from tasks.randomised import RandomisedScene, randomised
from tasks.registry import make

RANGES = Ranges(mass={"cart": (0.5, 2.0), "pole_1": (0.25, 4.0)}, gear=(0.5, 2.0), delay=(0, 2))
STATE = 5
"""Time, two positions and two velocities of the cart-pole."""


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    return make("dm_control:cartpole")


@pytest.fixture(scope="module")
def told(cartpole: Environment) -> Environment:
    return randomised(cartpole, RANGES)


def scene_of(environment: Environment) -> RandomisedScene:
    scene = environment.make_scene(())
    assert isinstance(scene, RandomisedScene)
    return scene


def plans(n: int, steps: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (n, steps, 1)).astype(np.float32)


def test_parameters_are_the_last_columns_where_they_are_told(
    cartpole: Environment, told: Environment
) -> None:
    names = [variable.name for variable in told.spec.observation]
    seen = [variable.name for variable in cartpole.spec.observation]
    sent = ["motor_0 sent 2 steps ago", "motor_0 sent 1 steps ago"]
    hidden = ["log mass of cart", "log mass of pole_1", "log gear", "delay"]
    assert names == [*seen, *sent, *hidden]
    assert told.spec.constant == (7, 8, 9, 10)
    untold = randomised(cartpole, RANGES, told=False)
    assert [variable.name for variable in untold.spec.observation] == [*seen, *sent]
    assert untold.spec.constant == ()


def test_what_is_told_is_true_and_never_changes(told: Environment, cartpole: Environment) -> None:
    scene = scene_of(told)
    states = scene.sample_states(np.random.default_rng(0), 3)
    path = scene.rollout(states, plans(3, 6))
    truth = scene.parameters(states)
    assert np.array_equal(scene.observe(path)[..., -4:], np.repeat(truth[:, None], 6, 1).astype(np.float32))
    untold = scene_of(randomised(cartpole, RANGES, told=False))
    assert np.array_equal(untold.observe(path), scene.observe(path)[..., :-4])
    assert np.array_equal(untold.rollout(states, plans(3, 6)), path)


def test_each_row_moves_as_its_variant_does(told: Environment, cartpole: Environment) -> None:
    scene = scene_of(told)
    states = scene.sample_states(np.random.default_rng(2), 4)
    states = scene.with_parameters(states, scene.parameters(states)[[0, 1, 2, 0]])
    path = scene.rollout(states, plans(4, 8))
    for row, values in enumerate(scene.parameters(states)):
        factors = np.exp(values)
        variant = RANGES.variant(values)
        assert variant.mass == pytest.approx({"cart": factors[0], "pole_1": factors[1]})
        assert variant.gear == pytest.approx(factors[2])
        alone = dataclasses.replace(variant, delay=int(values[3])).of(cartpole).make_scene(())
        start = np.zeros((1, alone.state_size))
        start[:, :STATE] = states[row, :STATE]
        expected = alone.rollout(start, plans(4, 8)[row : row + 1])
        assert np.array_equal(path[row, :, :STATE], expected[0, :, :STATE])


def test_factors_of_one_are_the_environment_bit_for_bit(told: Environment, cartpole: Environment) -> None:
    scene, plain = scene_of(told), cartpole.make_scene(())
    states = scene.with_parameters(scene.sample_states(np.random.default_rng(3), 2), RANGES.vector({}))
    path = scene.rollout(states, plans(2, 10))
    expected = plain.rollout(states[:, :STATE], plans(2, 10))
    assert np.array_equal(path[..., :STATE], expected)
    assert np.array_equal(scene.observe(path)[..., :5], plain.observe(expected))
    assert np.array_equal(
        scene.observe(path)[:, 3, 5:7], plans(2, 10)[:, 2:4, 0]
    )  # the last two that were sent


def test_tasks_are_judged_by_the_action_that_takes_effect(told: Environment, cartpole: Environment) -> None:
    scene, plain = scene_of(told), cartpole.make_scene(())
    drawn = scene.sample_states(np.random.default_rng(4), 1)
    late = scene.with_parameters(drawn, RANGES.vector({"delay": 1, "mass of cart": 2.0}))
    path = np.concatenate([late[:, None], scene.rollout(late, plans(1, 3))], axis=1)[0]
    seen = scene.observe_privileged(path, with_state=True)
    bare = plain.observe_privileged(path[:, :STATE], with_state=True)
    actions = torch.from_numpy(plans(1, 3)[0])
    due = torch.cat([torch.zeros(1, 1), actions[:2]])
    found = told.task("swingup").reward(seen[:-1], actions, seen[1:])
    assert torch.equal(found, cartpole.task("swingup").reward(bare[:-1], due, bare[1:]))
    assert torch.equal(told.task("swingup").success(seen), torch.zeros(4, dtype=torch.bool))


def test_draws_are_even_in_the_logarithm_and_differ_from_episode_to_episode() -> None:
    drawn = RANGES.draw(np.random.default_rng(0), 4000)
    low, high = (np.array([getattr(one, end) for one in RANGES.parameters]) for end in ("low", "high"))
    assert ((low <= drawn) & (drawn <= high)).all()
    np.testing.assert_allclose(drawn.mean(axis=0), (low + high) / 2, atol=0.06)
    np.testing.assert_allclose(drawn[:, :3].std(axis=0), (high - low)[:3] / math.sqrt(12), rtol=0.05)
    assert set(drawn[:, 3]) == {0.0, 1.0, 2.0}
    assert np.array_equal(drawn, RANGES.draw(np.random.default_rng(0), 4000))


def test_a_vector_has_logarithms_of_factors_by_name() -> None:
    expected = [0.0, math.log(0.5), 0.0, 2.0]
    np.testing.assert_allclose(RANGES.vector({"mass of pole_1": 0.5, "delay": 2}), expected)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "ranges need at least one of mass, friction, damping, gear, delay"),
    ({"mass": (2.0, 0.5)}, "the lower one first, not 2.0 to 0.5"),
    ({"mass": (0.0, 2.0)}, "needs two factors from 0.001 to 1000"),
    ({"mass": 2.0}, "range of mass: needs a lowest and a highest value, not 2.0"),
    ({"mass": {"cart": (1, "2")}}, "range of mass of cart: needs two numbers, not 1 and '2'"),
    ({"delay": (0, 1.5)}, "range of delay: needs whole numbers from 0 to 100, not 0 to 1.5"),
    ({"delay": (2, 2)}, "never differs; use a variant instead"),
]


@pytest.mark.parametrize(("given", "text"), WRONG, ids=[text[:30] for _, text in WRONG])
def test_ranges_that_make_no_sense_are_one_line(given: dict[str, Any], text: str) -> None:
    with pytest.raises(TaskError) as caught:
        Ranges(**given)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (Ranges(mass={"kart": (0.5, 2.0)}), "ranges of mass: no body 'kart'; did you mean 'cart'?"),
        (Ranges(damping={"slid": (0.5, 2.0)}), "no joint 'slid'; did you mean 'slider'?"),
    ],
)
def test_parts_that_are_not_there_are_one_line(cartpole: Environment, ranges: Ranges, text: str) -> None:
    with pytest.raises(TaskError, match="dm_control:cartpole") as caught:
        randomised(cartpole, ranges)
    assert text in str(caught.value)


def test_a_vector_refuses_what_has_no_range() -> None:
    with pytest.raises(TaskError, match="no range of 'mass of car'; did you mean 'mass of cart'"):
        RANGES.vector({"mass of car": 2.0})
    with pytest.raises(TaskError, match="a factor of gear must be above 0, not 0"):
        RANGES.vector({"gear": 0})
