from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbtransfer.data import Dataset

ROWS = 12


def arrays(**changes: Any) -> dict[str, Any]:
    """Three episodes of 5, 4 and 3 steps: ended by the environment, by time, and by the end of the file."""
    random = np.random.default_rng(0)
    found = {
        "observations": random.standard_normal((ROWS, 3)),
        "actions": random.uniform(-1, 1, (ROWS, 2)).astype(np.float32),
        "rewards": random.standard_normal(ROWS).astype(np.float32),
        "terminals": np.arange(ROWS) == 4,
        "timeouts": np.arange(ROWS) == 8,
        "note": np.array("made by hand"),
    }
    return {name: value for name, value in (found | changes).items() if value is not None}


def chained() -> np.ndarray:
    """Next observations that follow, with something new at the end of each episode."""
    obs = arrays()["observations"]
    following = np.roll(obs, -1, axis=0)
    following[[4, 8, 11]] = 7.0
    return following


@pytest.fixture
def imported(tmp_path: Path, ran: Callable[..., str]) -> Callable[..., Dataset]:
    def run(**changes: Any) -> Dataset:
        np.savez_compressed(tmp_path / "mine.npz", **arrays(**changes))
        ran("dataset", "import", tmp_path / "mine.npz", "--out", tmp_path / "data")
        return Dataset.open(tmp_path / "data")

    return run


def test_without_next_observations_the_last_step_of_each_episode_is_left_out(imported: Any) -> None:
    dataset, given = imported(), arrays()
    assert [(r.steps, r.terminated, r.truncated) for r in dataset.records] == [
        (n, False, True) for n in (4, 3, 2)
    ]
    first = next(dataset.episodes())
    np.testing.assert_array_equal(first.obs, given["observations"][:5].astype(np.float32))
    np.testing.assert_array_equal(first.actions, given["actions"][:4])
    np.testing.assert_array_equal(first.rewards, given["rewards"][:4].astype(float))
    assert (dataset.header.env, dataset.header.state_size, dataset.header.control_dt) == ("mine", 0, 0.0)


def test_with_next_observations_every_step_is_kept(imported: Any) -> None:
    dataset = imported(next_observations=chained())
    ends = [(r.steps, r.terminated, r.truncated) for r in dataset.records]
    assert ends == [(5, True, False), (4, False, True), (3, False, True)]
    assert all((episode.obs[-1] == 7.0).all() for episode in dataset.episodes())


def test_ranges_are_those_of_the_data_and_of_what_came_first(tmp_path: Path, imported: Any, ran: Any) -> None:
    first = imported()
    column = first.header.observation[0]
    values = np.concatenate([episode.obs[:, 0] for episode in first.episodes()])
    assert (column.name, column.low, column.high) == ("obs_0", values.min(), values.max())
    np.savez(tmp_path / "more.npz", **arrays(observations=9 * arrays()["observations"]))
    ran("dataset", "import", tmp_path / "more.npz", "--out", first.path, "--env", "mine")
    assert len(Dataset.open(first.path)) == 6 and Dataset.open(first.path).header == first.header


def test_again_adds_nothing(tmp_path: Path, imported: Any, content: Any) -> None:
    imported()
    before = content(tmp_path / "data")
    assert len(imported()) == 3 and content(tmp_path / "data") == before


def test_an_environment_of_ours(tmp_path: Path, ran: Any, refused: Any) -> None:
    wide = arrays(observations=np.zeros((ROWS, 53)), actions=np.zeros((ROWS, 4)))
    np.savez(tmp_path / "mine.npz", **wide)
    line = ("dataset", "import", tmp_path / "mine.npz", "--out", tmp_path / "data")
    ran(*line, "--env", "kitchen")
    assert Dataset.open(tmp_path / "data").header.observation[3].name == "microwave"
    assert "holds environment 'kitchen', not 'other'" in refused(*line, "--env", "other")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"observations": None}, "has no obs or observations"),
        ({"actions": None}, "has no actions"),
        ({"terminals": None, "timeouts": None}, "nobody knows where episodes end"),
        ({"observations": np.zeros((ROWS - 1, 3))}, "observations have shape (11, 3), actions (12, 2)"),
        ({"observations": np.zeros((ROWS, 0))}, "no observation columns"),
        ({"actions": np.zeros((ROWS, 0))}, "no action columns"),
        ({"actions": np.zeros(ROWS)}, "actions have shape"),
        ({"actions": np.float32(1)}, "actions ()"),
        ({"rewards": np.zeros((ROWS, 2))}, "rewards have shape (5, 2)"),
        ({"terminals": np.zeros((ROWS, 2), bool)}, "one value per step"),
        ({"timeouts": np.ones(ROWS, bool)}, "no whole transitions"),
        ({"next_observations": np.zeros((ROWS, 3))}, "does not lead to step"),
        ({"next_observations": np.zeros((ROWS, 2))}, "next observations are"),
        ({"observations": np.full((ROWS, 3), np.nan)}, "obs is NaN at step 0, column 'obs_0'"),
        ({"observations": np.full((ROWS, 3), 1e300)}, "obs is infinite"),
        ({"rewards": np.full(ROWS, np.inf)}, "rewards is infinite"),
        ({"observations": np.full((ROWS, 3), "x")}, "numbers are needed"),
        ({"observations": np.full((ROWS, 3), 1j)}, "numbers are needed"),
        ({"observations": np.full((ROWS, 3), None, object)}, "pickle"),
        ({"observations": np.zeros((ROWS, 32, 32, 3), np.uint8)}, "are pictures"),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_used_is_one_line(
    tmp_path: Path, refused: Any, changes: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays(**changes))
    assert said in refused("dataset", "import", tmp_path / "bad.npz", "--out", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_torn_files_are_one_line(tmp_path: Path, refused: Any) -> None:
    np.savez_compressed(tmp_path / "bad.npz", **arrays())
    whole = (tmp_path / "bad.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[80:120] = b"\0" * 40
    bare = io.BytesIO()
    np.save(bare, np.zeros(3))
    for broken in (
        b"",
        b"PK\x03\x04",
        whole[:-30],
        whole[: len(whole) // 2],
        bytes(flipped),
        bare.getvalue(),
    ):
        (tmp_path / "bad.npz").write_bytes(broken)
        assert "cannot read" in refused("dataset", "import", tmp_path / "bad.npz", "--out", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_unfolds_into_more_than_memory_is_refused(tmp_path: Path, refused: Any) -> None:
    np.savez(tmp_path / "bad.npz", **arrays(observations=None))
    head = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (ROWS, 10**12)}
    np.lib.format.write_array_header_2_0(head, shape)
    with zipfile.ZipFile(tmp_path / "bad.npz", "a") as archive:
        archive.writestr("observations.npy", head.getvalue())
    assert "promises 96,000" in refused("dataset", "import", tmp_path / "bad.npz", "--out", tmp_path / "data")


def test_no_such_file_or_form(tmp_path: Path, refused: Any) -> None:
    assert "there is no file" in refused("dataset", "import", tmp_path / "no.npz", "--out", tmp_path / "data")
    assert "give minari:NAME" in refused("dataset", "import", "data.csv", "--out", tmp_path / "data")
    assert "did you mean 'dataset import'" in refused(
        "dataset", "imprt", "data.npz", "--out", tmp_path / "data"
    )
