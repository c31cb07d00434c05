from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from mbtransfer.collection.collect import open_dataset
from mbtransfer.data import Dataset
from tasks.registry import make

minari = pytest.importorskip("minari")
h5py = pytest.importorskip("h5py")
Box, Dict = gymnasium.spaces.Box, gymnasium.spaces.Dict

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:minari", "ignore::DeprecationWarning:minari")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("MINARI_REMOTE", "nowhere://at/all")
    return tmp_path / "minari"


def kitchen_like(name: str, episodes: int = 3, seed: int = 0, steps: int = 5) -> list[Any]:
    """A dataset as D4RL/kitchen/complete-v2 is: goals in dicts, float64, no state."""
    random = np.random.default_rng(seed)
    goal = Dict({"microwave": Box(-np.inf, np.inf, (1,)), "kettle": Box(-np.inf, np.inf, (7,))})
    observed = Box(-np.inf, np.inf, (59,), np.float64)
    space = Dict({"observation": observed, "achieved_goal": goal, "desired_goal": goal})
    buffers = [
        minari.data_collector.EpisodeBuffer(
            observations={
                "observation": random.standard_normal((steps + 1, 59)),
                "achieved_goal": {"microwave": np.zeros((steps + 1, 1)), "kettle": np.ones((steps + 1, 7))},
                "desired_goal": {"microwave": np.zeros((steps + 1, 1)), "kettle": np.ones((steps + 1, 7))},
            },
            actions=random.uniform(-1, 1, (steps, 9)),
            rewards=random.standard_normal(steps),
            terminations=np.arange(steps) == (steps - 1 if number == 0 else -1),
            truncations=np.arange(steps) == (-1 if number == 0 else steps - 1),
            infos={"success": np.zeros(steps + 1, bool)},
        )
        for number in range(episodes)
    ]  # fmt: skip
    minari.create_dataset_from_buffers(
        name, buffers, observation_space=space, action_space=Box(-1.0, 1.0, (9,)), data_format="hdf5"
    )
    return buffers


def test_out_and_back_is_the_same_bit_for_bit(
    pool: Dataset, tmp_path: Path, ran: Callable[..., str], content: Callable[..., Any]
) -> None:
    said = ran("dataset", "export", pool.path, "minari:house/pool-v1")
    assert "exported 7 episodes with 42 control steps" in said
    said = ran("dataset", "import", "minari:house/pool-v1", "--out", tmp_path / "back")
    assert "imported 7 episodes" in said
    assert content(tmp_path / "back") == content(pool.path)
    before = content(tmp_path / "back")
    assert "imported 0 episodes" in ran(
        "dataset", "import", "minari:house/pool-v1", "--out", tmp_path / "back"
    )
    assert content(tmp_path / "back") == before


def test_minari_itself_reads_what_was_exported(pool: Dataset, ran: Callable[..., str], home: Path) -> None:
    ran("dataset", "export", pool.path, "minari:pool-v0")
    assert list(minari.list_local_datasets()) == ["pool-v0"] and sorted(f.name for f in home.iterdir()) == [
        "pool-v0"
    ]
    found = minari.load_dataset("pool-v0")
    assert (found.total_episodes, found.total_steps) == (7, 42)
    assert found.observation_space.shape == (4,) and found.action_space.high.tolist() == [0.5, 0.5]
    for theirs, ours in zip(found.iterate_episodes(), pool.episodes(), strict=True):
        np.testing.assert_array_equal(theirs.observations, ours.obs)
        np.testing.assert_array_equal(theirs.infos["state"], ours.state)
        assert (
            bool(theirs.terminations[-1]) == ours.terminated
            and bool(theirs.truncations[-1]) == ours.truncated
        )
        assert not theirs.terminations[:-1].any()


def test_changed_units_get_another_key(
    pool: Dataset, tmp_path: Path, ran: Callable[..., str], home: Path
) -> None:
    ran("dataset", "export", pool.path, "minari:pool-v0")
    with h5py.File(home / "pool-v0" / "data" / "main_data.hdf5", "a") as file:
        file["episode_0/actions"][0, 0] = 0.25
    ran("dataset", "import", "minari:pool-v0", "--out", tmp_path / "back")
    keys = Dataset.open(tmp_path / "back").keys()
    assert "babble-00000" not in keys and "babble-00001" in keys and len(keys) == 3


def test_a_kitchen_of_d4rl_becomes_a_pool(tmp_path: Path, ran: Callable[..., str]) -> None:
    buffers = kitchen_like("D4RL/kitchen/complete-v2")
    said = ran("dataset", "import", "minari:D4RL/kitchen/complete-v2", "--out", tmp_path / "data")
    assert "D4RL-kitchen-complete, 59 observation, 9 action columns, 0 state values" in said
    dataset = Dataset.open(tmp_path / "data")
    assert [c.name for c in dataset.header.observation[:2]] == ["obs_0", "obs_1"]
    assert {(c.low, c.high) for c in dataset.header.action} == {(-1.0, 1.0)}
    for found, given in zip(dataset.episodes(), buffers, strict=True):
        np.testing.assert_array_equal(found.obs, given.observations["observation"].astype(np.float32))
        assert found.rewards is not None
        np.testing.assert_array_equal(found.rewards, given.rewards)
        assert found.behaviour == "D4RL/kitchen/complete-v2" and found.state.shape == (6, 0)
    assert [(r.terminated, r.truncated) for r in dataset.records] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert len(dataset.split(0.3)[0].transitions()) == 10


def test_several_datasets_of_one_environment_make_one_pool(tmp_path: Path, ran: Callable[..., str]) -> None:
    for number, name in enumerate(("complete", "partial")):
        kitchen_like(f"kitchen/{name}-v0", seed=number)
        ran("dataset", "import", f"minari:kitchen/{name}-v0", "--out", tmp_path / "data", "--env", "franka")
    dataset = Dataset.open(tmp_path / "data")
    assert len(dataset) == 6 and dataset.header.env == "franka"
    assert set(dataset.info()["behaviours"]) == {"kitchen/complete-v0", "kitchen/partial-v0"}


def test_parts_of_observations_are_chosen(
    tmp_path: Path, ran: Callable[..., str], refused: Callable[..., str]
) -> None:
    kitchen_like("franka-v0")
    command = ("dataset", "import", "minari:franka-v0", "--out", tmp_path / "data")
    assert "did you mean 'observation'" in refused(*command, "--keys", "observations")
    ran(*command, "--keys", "achieved_goal", "observation")
    names = [column.name for column in Dataset.open(tmp_path / "data").header.observation]
    assert len(names) == 67 and {"achieved_goal_kettle_6", "observation_58"} <= set(names)


def test_sizes_must_fit_an_environment_of_ours(tmp_path: Path, refused: Callable[..., str]) -> None:
    kitchen_like("kitchen-v0")
    line = refused("dataset", "import", "minari:kitchen-v0", "--out", tmp_path / "data", "--env", "kitchen")
    assert "has 59 observation columns, environment 'kitchen' 53" in line and not (tmp_path / "data").exists()


def test_what_cannot_be_had_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    out = ("--out", tmp_path / "data")
    assert "write minari:NAME-vN" in refused("dataset", "import", "minari:../../etc", *out)
    assert "write minari:NAME-vN" in refused("dataset", "import", "minari:kitchen", *out)
    line = refused("dataset", "import", "minari:D4RL/kitchen/none-v2", *out)
    assert "there is no Minari dataset D4RL/kitchen/none-v2 here, and it cannot be downloaded" in line
    assert not (tmp_path / "data").exists()


def test_discrete_actions_are_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    one = minari.data_collector.EpisodeBuffer(
        observations=np.zeros((3, 2)), actions=np.zeros(2, int), rewards=[0.0, 0.0],
        terminations=[False, False], truncations=[False, True],
    )  # fmt: skip
    space = gymnasium.spaces.Discrete(4)
    minari.create_dataset_from_buffers("d-v0", [one], observation_space=Box(-1, 1, (2,)), action_space=space)
    line = refused("dataset", "import", "minari:d-v0", "--out", tmp_path / "data")
    assert "the action space is Discrete" in line


def test_a_damaged_dataset_is_one_line(
    pool: Dataset, tmp_path: Path, ran: Any, refused: Any, home: Path
) -> None:
    ran("dataset", "export", pool.path, "minari:pool-v0")
    data = home / "pool-v0" / "data"
    whole = (data / "main_data.hdf5").read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500):
        (data / "main_data.hdf5").write_bytes(broken)
        assert "cannot read minari:pool-v0" in refused(
            "dataset", "import", "minari:pool-v0", "--out", tmp_path / "x"
        )
    (data / "main_data.hdf5").write_bytes(whole)
    metadata = json.loads((data / "metadata.json").read_text())
    for change in ({"mbtransfer_header": 3}, {"observation_space": "{"}, {"total_episodes": "many"}):
        (data / "metadata.json").write_text(json.dumps(metadata | change))
        refused("dataset", "import", "minari:pool-v0", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_dataset_cannot_lead_to_another_file(
    pool: Dataset, tmp_path: Path, ran: Any, refused: Any, home: Path
) -> None:
    ran("dataset", "export", pool.path, "minari:pool-v0")
    file = home / "pool-v0" / "data" / "main_data.hdf5"
    whole = file.read_bytes()
    (tmp_path / "secret").write_bytes(b"x" * 100)
    changes: tuple[Callable[[Any], object], ...] = (
        lambda group: group.__setitem__("actions", h5py.ExternalLink("other.hdf5", "/a")),
        lambda group: group.create_dataset(
            "actions", (5, 3), "f4", external=[(str(tmp_path / "secret"), 0, 60)]
        ),
        lambda group: group.create_dataset("actions", (10**12, 3), "f4", chunks=(1000, 3)),
    )
    for change, said in zip(changes, ("is a link", "lies in another file", "too much for this"), strict=True):
        file.write_bytes(whole)
        with h5py.File(file, "a") as content:
            del content["episode_0"]["actions"]
            change(content["episode_0"])
        assert said in refused("dataset", "import", "minari:pool-v0", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_nothing_is_overwritten_or_left_half(
    pool: Dataset, home: Path, ran: Any, refused: Any, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran("dataset", "export", pool.path, "minari:pool-v0")
    before = content(home)
    assert "is a Minari dataset pool-v0 already" in refused("dataset", "export", pool.path, "minari:pool-v0")
    assert "give minari:NAME-vN" in refused("dataset", "export", pool.path, "pool.npz")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mbtransfer.data.formats.minari._write", full)
    assert "No space left" in refused("dataset", "export", pool.path, "minari:pool-v1")
    assert content(home) == before and [f.name for f in home.iterdir()] == ["pool-v0"]


def test_without_minari_the_line_says_what_to_install(
    pool: Dataset, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    for line in (("import", "minari:a-v0", "--out", "x"), ("export", pool.path, "minari:a-v0")):
        assert "pip install 'mbtransfer[minari]'" in refused("dataset", *line)


def test_a_franka_kitchen_gets_its_states_hand_and_handles(tmp_path: Path, ran: Callable[..., str]) -> None:
    pytest.importorskip("gymnasium_robotics")
    kitchen = make("franka_kitchen")
    scene, random = kitchen.make_scene(()), np.random.default_rng(0)
    start, actions = scene.sample_states(random, 1), random.uniform(-1, 1, (1, 6, 9)).astype(np.float32)
    states = np.concatenate([start[:, None], scene.rollout(start, actions)], axis=1)[0]
    seen = scene.observe(states)
    one = minari.data_collector.EpisodeBuffer(
        observations={"observation": seen[:, :59].astype(float), "desired_goal": seen[:, :1]}, actions=actions[0],
        rewards=np.zeros(6), terminations=np.zeros(6, bool), truncations=np.arange(6) == 5,
    )  # fmt: skip
    space = Dict({"observation": Box(-np.inf, np.inf, (59,), np.float64), "desired_goal": Box(-9, 9, (1,))})
    minari.create_dataset_from_buffers("k-v0", [one], observation_space=space, action_space=Box(-1, 1, (9,)))
    said = ran("dataset", "import", "minari:k-v0", "--out", tmp_path / "data", "--env", "franka_kitchen")
    assert f"{scene.state_size} state values" in said
    (found,) = Dataset.open(tmp_path / "data").episodes()
    np.testing.assert_allclose(found.obs, seen, atol=1e-5)
    np.testing.assert_allclose(found.state, states, atol=1e-6)
    open_dataset(kitchen, str(tmp_path / "data"))  # `collect` can add to it
    assert "slide_cabinet" in ran("dataset", "info", tmp_path / "data")


def test_a_source_cannot_name_a_program(pool: Dataset, tmp_path: Path, ran: Any, refused: Any) -> None:
    header = dataclasses.replace(pool.header, env=f"gym:{tmp_path}/evil.py:Evil")
    (tmp_path / "evil.py").write_text("raise SystemExit(7)\n")
    dataset = Dataset.create(tmp_path / "evil", header)
    dataset.append([next(pool.episodes())], "unit")
    ran("dataset", "info", dataset.path)
    ran("dataset", "export", dataset.path, "minari:evil-v0")
    command = ("dataset", "import", "minari:evil-v0", "--out", tmp_path / "data")
    assert "names Python code as its environment" in refused(*command)
    ran(*command, "--env", header.env)
    assert Dataset.open(tmp_path / "data").digest == dataset.digest
