from __future__ import annotations

import dataclasses

import pytest

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.spec import EnvSpec, Fixture, Variable, nearest


def small_spec() -> EnvSpec:
    names = ("x", "door", "x_velocity", "door_velocity", "to_door_x", "to_door_y", "to_door_z")
    return EnvSpec(
        name="hut",
        observation=tuple(Variable(name, "m", -1.0, 1.0) for name in names),
        action=(Variable("push", "N", -1.0, 1.0),),
        fixtures=(Fixture("door", 1, 3, (4, 5, 6), 0.0, 0.5, "m"),),
        hand=(0, 0, 0),
        hand_velocity=(2, 2, 2),
        control_dt=0.1,
        episode_steps=10,
    )


def test_columns_are_found_by_name() -> None:
    spec = small_spec()
    assert (spec.obs_size, spec.action_size) == (7, 1)
    assert spec.index("door_velocity") == 3
    assert spec.fixture("door").span == 0.5


def test_wrong_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"^hut: no observation 'dor'; did you mean 'door'\?$"):
        small_spec().index("dor")
    with pytest.raises(TaskError, match=r"^hut: no fixture 'doo'; did you mean 'door'\?$"):
        small_spec().fixture("doo")
    assert nearest("zzz", ["one", "two"]) == "; there are one, two"


@pytest.mark.parametrize("name", ["Variable", "Fixture", "EnvSpec"])
def test_a_spec_cannot_be_changed(name: str) -> None:
    spec = small_spec()
    item = {"Variable": spec.observation[0], "Fixture": spec.fixtures[0], "EnvSpec": spec}[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.name = "other"  # type: ignore[misc]


def test_the_kitchen_documents_every_column(kitchen: Environment) -> None:
    spec = kitchen.spec
    names = [variable.name for variable in spec.observation]
    assert len(set(names)) == spec.obs_size
    assert all(
        variable.unit and variable.low < variable.high for variable in (*spec.observation, *spec.action)
    )
    assert [names[column] for column in spec.hand] == ["hand_x", "hand_y", "hand_z"]
    assert [names[column] for column in spec.hand_velocity] == [f"hand_{axis}_velocity" for axis in "xyz"]
    assert len(spec.fixtures) >= 9
    assert 0.05 <= spec.control_dt <= 0.1  # 10 to 20 Hz


def test_each_fixture_points_at_its_own_columns(kitchen: Environment) -> None:
    spec = kitchen.spec
    for fixture in spec.fixtures:
        assert spec.observation[fixture.position].name == fixture.name
        assert spec.observation[fixture.velocity].name == f"{fixture.name}_velocity"
        handle = fixture.name.removesuffix("_x").removesuffix("_y")
        columns = [spec.observation[column].name for column in fixture.handle]
        assert columns == [f"hand_to_{handle}_{axis}" for axis in "xyz"]
        position = spec.observation[fixture.position]
        assert position.low <= fixture.low < fixture.high <= position.high
