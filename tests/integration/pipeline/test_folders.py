"""What the commands make of damaged data, and of places that cannot be written or hold nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.model import Model
from tests.integration.pipeline.line import FIT, SEARCH, Folder, cut, refused, using

pytestmark = pytest.mark.slow


def test_datasets_that_cannot_be_fitted(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    header = Dataset.open(own / "data").header
    Dataset.open_or_create(own / "empty", header)
    (own / "nothing").mkdir()
    for name, words in (("empty", "0 episodes"), ("nothing", "nothing"), ("nowhere", "nowhere")):
        assert words in refused(capfd, "fit", "--data", own / name, "--out", own / "new", *FIT)
    assert not (own / "new").exists()


def test_nan_in_data_is_told_and_nothing_is_fitted(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A shard whose checksums are right, as a broken collector of one's own might write it."""
    from mbtransfer.data.dataset import SHARD_FOLDER
    from mbtransfer.data.shards import write_shard

    data = Dataset.open(own / "data")
    episodes = list(data.episodes())[:12]
    bad = episodes[3].obs.copy()
    bad[2, 1] = np.nan
    object.__setattr__(episodes[3], "obs", bad)
    other = Dataset.open_or_create(own / "bad", data.header)
    write_shard(other.path / SHARD_FOLDER, "bad", episodes)
    line = refused(capfd, "fit", "--data", own / "bad", "--out", own / "new", *FIT)
    assert "nan" in line.lower() or "finite" in line
    assert not (own / "new" / "manifest.json").exists()


def test_a_damaged_shard_is_named_and_the_rest_is_fitted(
    own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shard, *rest = sorted((own / "data").rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    assert rest
    cut(shard)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["fit", "--data", str(own / "data"), "--out", str(own / "new"), *FIT]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("warning: ") and shard.name in lines[0]
    assert Model.load(own / "new", device="cpu").notes["transitions"] < 6000


def test_a_place_that_cannot_be_written(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (own / "file").write_text("precious")
    folder = Folder(own)
    where = own / "file" / "inside"
    assert "file" in refused(capfd, "fit", "--data", own / "data", "--out", where, *FIT)
    line = [*using("evaluate", own), *SEARCH[:-2]]
    for flag in ("--json", "--rows"):
        assert "file" in refused(capfd, *line, flag, where)
        assert "folder" in refused(capfd, *line, flag, own / "data")
    assert "file" in refused(capfd, *using("check", own), "--json", where)
    assert "is the model itself" in refused(
        capfd,
        "adapt",
        "--model",
        own / "model",
        "--task",
        "tap_open",
        "--episodes",
        "1",
        "--out",
        own / "model",
    )
    assert folder.unharmed()


def test_a_folder_without_results_has_no_report(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "nothing to report" in refused(capfd, "report", own)
    assert "no results folder" in refused(capfd, "report", own / "nowhere")
