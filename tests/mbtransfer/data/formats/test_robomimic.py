from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbtransfer.data import Dataset

h5py = pytest.importorskip("h5py")
STEPS = 6


def write(path: Path, demos: int = 3, **changes: Any) -> dict[str, np.ndarray]:
    """A file as robomimic writes it, `changes` in its last demonstration; what is in the first one."""
    with h5py.File(path, "w") as file:
        about = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        file.create_group("data").attrs["env_args"] = json.dumps(about)
        for number in reversed(range(demos)):
            parts = demonstration(number) | (changes if number == demos - 1 else {})
            for name, value in parts.items():
                if value is not None:
                    file[f"data/demo_{number}/{name}"] = value
        file["mask/train"] = np.array([b"demo_0"])
    return demonstration(0)


def demonstration(number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    hand, lump = random.standard_normal((STEPS + 1, 3)), random.standard_normal((STEPS + 1, 2, 2))
    pictures = np.zeros((STEPS, 8, 8, 3), np.uint8)
    return {
        "obs/hand": hand[:-1], "obs/lump": lump[:-1], "obs/view": pictures,
        "next_obs/hand": hand[1:], "next_obs/lump": lump[1:], "next_obs/view": pictures,
        "actions": random.uniform(-1, 1, (STEPS, 2)), "rewards": np.arange(STEPS) == STEPS - 1,
        "dones": np.arange(STEPS) == STEPS - 1, "states": random.standard_normal((STEPS, 5)),
    }  # fmt: skip


@pytest.fixture
def imported(tmp_path: Path, ran: Callable[..., str]) -> Callable[..., Dataset]:
    def run(*flags: str, **changes: Any) -> Dataset:
        write(tmp_path / "lift.hdf5", **changes)
        ran("dataset", "import", tmp_path / "lift.hdf5", "--out", tmp_path / "data", *flags)
        return Dataset.open(tmp_path / "data")

    return run


def test_states_become_the_simulators_state(imported: Any) -> None:
    dataset, given = imported(), demonstration(0)
    header = dataset.header
    assert (header.env, header.state_size, header.control_dt) == ("Lift", 5, 0.05)
    assert [c.name for c in header.observation] == [
        "hand_0",
        "hand_1",
        "hand_2",
        *(f"lump_{i}" for i in range(4)),
    ]
    assert [(r.seed, r.steps, r.terminated, r.truncated) for r in dataset.records] == [
        (i, STEPS - 1, False, True)
        for i in range(3)  # nobody stored the state after the last action
    ]
    first = next(dataset.episodes())
    np.testing.assert_array_equal(first.state, given["states"])
    np.testing.assert_array_equal(first.obs[:, :3], given["obs/hand"].astype(np.float32))
    np.testing.assert_array_equal(first.actions, given["actions"][:-1].astype(np.float32))


def test_without_states_every_step_is_kept(imported: Any) -> None:
    dataset, given = imported("--keys", "hand", demos=1, states=None), demonstration(0)
    (found,) = dataset.episodes()
    assert (
        len(found) == STEPS
        and found.terminated
        and not found.truncated
        and found.state.shape == (STEPS + 1, 0)
    )
    np.testing.assert_array_equal(found.obs[-1], given["next_obs/hand"][-1].astype(np.float32))
    np.testing.assert_array_equal(found.rewards, given["rewards"].astype(float))


def test_again_adds_nothing_and_a_killed_import_continues(
    tmp_path: Path, imported: Any, content: Any, ran: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbtransfer.data.formats.importer.EPISODES", 2)
    dataset = imported()
    before = content(dataset.path)
    assert len(dataset.keys()) == 2 and content(imported().path) == before
    for file in (dataset.path / "shards").glob(f"{dataset.keys()[1]}*"):
        file.unlink()
    said = ran("dataset", "import", tmp_path / "lift.hdf5", "--out", dataset.path)
    assert "imported 1 episodes with 5 control steps; 2 were there before" in said
    assert content(dataset.path) == before


def test_flat_files_of_d4rl_are_read_too(tmp_path: Path, ran: Any) -> None:
    with h5py.File(tmp_path / "maze.hdf5", "w") as file:
        file["observations"], file["actions"] = np.random.default_rng(0).random((9, 4)), np.zeros((9, 2))
        file["terminals"] = np.arange(9) == 5
    ran("dataset", "import", tmp_path / "maze.hdf5", "--out", tmp_path / "data")
    assert [record.steps for record in Dataset.open(tmp_path / "data").records] == [5, 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": None}, "demo_2/actions is missing"),
        ({"obs/hand": np.zeros((2, 3))}, "differ in length"),
        ({"next_obs/hand": np.zeros((STEPS, 3))}, "does not lead to step"),
        ({"obs/hand": np.zeros((STEPS, 2)), "next_obs/hand": np.zeros((STEPS, 2))}, "differ: "),
        (
            {"obs/hand": np.full((STEPS, 3), np.nan), "next_obs/hand": np.full((STEPS, 3), np.nan)},
            "obs is NaN",
        ),
        (
            {"obs/hand": None, "next_obs/hand": None, "obs/arm": np.zeros((STEPS, 3))},
            "demo_2 and demo_0 differ",
        ),
        ({"states": np.zeros((STEPS - 3, 5))}, "3 states do not fit 6 actions"),
        ({"states": np.zeros((STEPS, 4))}, "differ: "),
        ({"actions": np.zeros((STEPS, 3))}, "differ: "),
        ({"actions": np.array([b"left"] * STEPS)}, "numbers are needed"),
        ({"dones": np.zeros(2)}, "dones have shape"),
        ({"rewards": np.zeros((STEPS, 2))}, "rewards have shape"),
        ({"obs/hand/deep": np.zeros((STEPS, 3)), "obs/hand": None}, "is a group"),
        ({"states": np.full((STEPS, 5), np.inf)}, "state is infinite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_one_bad_demonstration_and_nothing_is_written(
    tmp_path: Path, refused: Any, changes: Any, said: str
) -> None:
    write(tmp_path / "bad.hdf5", **changes)
    assert said in refused("dataset", "import", tmp_path / "bad.hdf5", "--out", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_torn_files_are_one_line(tmp_path: Path, refused: Any) -> None:
    path = tmp_path / "bad.hdf5"
    write(path)
    whole = path.read_bytes()
    for broken in (b"", b"not HDF5", whole[:100], whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(broken)
        refused("dataset", "import", path, "--out", tmp_path / "data")
    with h5py.File(path, "w") as file:
        file["other"] = 1
    assert "no group `data`" in refused("dataset", "import", path, "--out", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_file_cannot_lead_to_another(tmp_path: Path, refused: Any) -> None:
    path, secret = tmp_path / "bad.hdf5", tmp_path / "secret"
    secret.write_bytes(b"x" * 1000)
    write(tmp_path / "good.hdf5")
    write(path, demos=1, states=None)
    with h5py.File(path, "a") as file:
        file["data/demo_0/states"] = h5py.ExternalLink("good.hdf5", "/data/demo_0/states")
    assert "is a link" in refused("dataset", "import", path, "--out", tmp_path / "data")
    with h5py.File(path, "a") as file:
        del file["data/demo_0/states"]
        external = [(str(secret), 0, 8 * STEPS * 5)]
        file["data/demo_0"].create_dataset("states", (STEPS, 5), "f8", external=external)
    assert "lies in another file" in refused("dataset", "import", path, "--out", tmp_path / "data")


def test_what_unfolds_into_more_than_memory_is_refused(tmp_path: Path, refused: Any) -> None:
    write(tmp_path / "bad.hdf5", demos=1, states=None)
    with h5py.File(tmp_path / "bad.hdf5", "a") as file:
        file.create_dataset("data/demo_0/states", (STEPS, 10**12), "f8", chunks=(1, 1000))
    assert "too much for this machine" in refused(
        "dataset", "import", tmp_path / "bad.hdf5", "--out", tmp_path / "d"
    )


def test_without_h5py_the_line_says_what_to_install(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lift.hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    line = refused("dataset", "import", tmp_path / "lift.hdf5", "--out", tmp_path / "data")
    assert "h5py is not installed: pip install 'mbtransfer[minari]'" in line
