from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from mbtransfer.cli.commands.dataset import run_export, run_import
from mbtransfer.config import DatasetExportConfig, DatasetImportConfig
from mbtransfer.data import Dataset
from mbtransfer.data.formats.convert import content_digest
from mbtransfer.data.log_notes import read_notes
from mbtransfer.errors import USER_ERRORS


def _arm() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arm", Path(__file__).with_name("arm.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["arm"] = module
    spec.loader.exec_module(module)
    return module


arm = _arm()
EPISODES, ROWS = 12, 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("logs")
    logs = arm.record(EPISODES, ROWS)
    arm.declare(home / "arm.yaml")
    arm.mapping(home / "rad.yaml")
    arm.mapping(home / "deg.yaml", degrees=True)
    arm.mapping(home / "files.yaml", run=False)
    arm.frame(logs).to_csv(home / "log.csv", index=False)
    arm.frame(logs, degrees=True).to_parquet(home / "log.parquet")
    (home / "runs").mkdir()
    for number, log in enumerate(logs):
        arm.frame([log]).to_csv(home / f"runs/{number:02d}.csv", index=False)
    for version in ("v2.1", "v3.0"):
        arm.lerobot(home / version, logs, version)
    return home


def taken(home: Path, source: str, out: Path, mapping: str | None = None, env: str = "arm.yaml") -> Dataset:
    config: dict[str, Any] = {"source": source, "out": out, "env": f"file:{home / env}" if env else None}
    run_import(DatasetImportConfig(**config, mapping=home / mapping if mapping else None))
    return Dataset.open(out)


@pytest.mark.parametrize(
    "source, mapping",
    [("csv:{}/log.csv", "rad.yaml"), ("csv:{}/runs", "files.yaml"), ("parquet:{}/log.parquet", "deg.yaml"),
     ("lerobot:{}/v2.1", None), ("lerobot:{}/v3.0", None)],
)  # fmt: skip
def test_every_form_of_the_same_logs_gives_the_same_episodes(
    home: Path, tmp_path: Path, source: str, mapping: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = taken(home, source.format(home), tmp_path / "data", mapping)
    said = " ".join(capsys.readouterr().out.split())
    assert len(dataset) == EPISODES and dataset.steps == EPISODES * (ROWS - 1)
    for log, episode in zip(arm.record(EPISODES, ROWS), dataset.episodes(), strict=True):
        np.testing.assert_allclose(episode.obs, log.joints, atol=1e-5)
        np.testing.assert_allclose(episode.actions, log.targets[:-1], atol=1e-5)
        assert episode.truncated and not episode.terminated
    if source.startswith("lerobot"):
        assert {record.behaviour for record in dataset.pool.records} == set(arm.TASKS)
        assert "left out: observation.images.wrist (pictures)" in said
    else:
        assert "left out: " in said and "note" in said
    assert "12 episodes, 480 rows; rows every 0.05 s, control steps of 0.05 s" in said
    again = taken(home, source.format(home), tmp_path / "data", mapping)
    assert len(again) == EPISODES


def test_export_to_lerobot_and_back_is_the_same(home: Path, tmp_path: Path) -> None:
    dataset = taken(home, f"lerobot:{home}/v3.0", tmp_path / "data")
    run_export(DatasetExportConfig(dir=tmp_path / "data", target=f"lerobot:{tmp_path}/out"))
    back = taken(home, f"lerobot:{tmp_path}/out", tmp_path / "back", env="")
    assert back.header.difference(dataset.header) is None and back.digest == dataset.digest
    assert content_digest(list(back.episodes())) == content_digest(list(dataset.episodes()))
    foreign = taken(home, f"lerobot:{tmp_path}/out", tmp_path / "foreign")  # as another reader would see it
    for one, other in zip(foreign.episodes(), dataset.episodes(), strict=True):
        np.testing.assert_array_equal(one.obs, other.obs)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert one.behaviour == other.behaviour


def test_gaps_faster_rows_and_missing_values(home: Path, tmp_path: Path) -> None:
    (log,) = arm.record(1, 41)
    table = arm.frame([log])
    table.loc[30, "q_lift"] = np.nan
    table.drop(index=range(10, 14)).to_csv(tmp_path / "gap.csv", index=False)
    dataset = taken(home, f"csv:{tmp_path}/gap.csv", tmp_path / "gaps", "rad.yaml")
    assert [len(one) for one in dataset.episodes()] == [9, 15, 9]
    (notes,) = read_notes(tmp_path / "gaps")
    assert (notes["gaps"], notes["missing"], notes["unreadable"]) == (2, 5, 1)
    assert notes["longest"] == pytest.approx(0.25)

    fast = arm.frame(arm.record(1, 101))
    fast["stamp_ms"] /= 5
    fast.to_csv(tmp_path / "fast.csv", index=False)
    dataset = taken(home, f"csv:{tmp_path}/fast.csv", tmp_path / "every", "rad.yaml")
    (episode,) = dataset.episodes()
    expected = fast[[f"q_{joint}" for joint in arm.JOINTS]].to_numpy()[::5]
    np.testing.assert_allclose(episode.obs, expected, atol=1e-6)
    assert read_notes(tmp_path / "every")[0]["resampled"]


def _slow(table: Any) -> None:
    table["stamp_ms"] *= 2


def _two_rates(table: Any) -> None:
    table["stamp_ms"] = np.cumsum(np.where(np.arange(len(table)) % 40 < 25, 50.0, 100.0))


def _backwards(table: Any) -> None:
    table.loc[7, "stamp_ms"] = 0.0


def _text(table: Any) -> None:
    table["q_lift"] = table["q_lift"].astype(object)
    table.loc[4, "q_lift"] = "far"


def _renamed(table: Any) -> None:
    table["q_lifft"] = table.pop("q_lift")


def _timeless(table: Any) -> None:
    del table["stamp_ms"]


@pytest.mark.parametrize(
    "spoil, said",
    [
        (_slow, "rows come every 0.1 s, less often than control steps of 0.05 s; declare a control_step of 0.1"),
        (_two_rates, "has two rates: rows every 0.05 s and every 0.1 s"),
        (_backwards, "times must rise, but row 8 is at 0 s after 0.3 s"),
        (_text, "row 5: q_lift is 'far', not a number"),
        (_renamed, "rad.yaml:6:3: {}/bad.csv has no column 'q_lift'; did you mean 'q_lifft'?"),
        (_timeless, "rad.yaml:1:1: {}/bad.csv has no column 'stamp_ms'"),
    ],
)  # fmt: skip
def test_a_bad_log_is_one_line_and_nothing_is_written(
    home: Path, tmp_path: Path, spoil: Any, said: str
) -> None:
    table = arm.frame(arm.record(1))
    spoil(table)
    table.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(USER_ERRORS) as refused:
        taken(home, f"csv:{tmp_path}/bad.csv", tmp_path / "data", "rad.yaml")
    assert said.format(tmp_path) in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "was, now, said",
    [
        ("  pan: {from: q_pan}\n", "", ":4:1: nothing is said of column 'pan'; add 'pan: COLUMN'"),
        ("  pan: ", "  pam: ", ":5:3: file:{}/arm.yaml has no column 'pam'; did you mean 'pan'?"),
        ("{from: q_pan}", "{from: q_pan, unit: grad}", ":5:22: unit cannot be 'grad'; there are deg, "),
        ("{from: q_pan}", "{of: q_pan}", ":5:3: no 'from'; add 'from: ...'"),
        ("time_unit: ms", "rate: 20", ":2:1: time and rate are both given"),
        ("episode: run", "epizode: run", ":3:1: no key 'epizode'; did you mean 'episode'?"),
    ],
)  # fmt: skip
def test_a_bad_mapping_is_one_line_with_its_place(
    home: Path, tmp_path: Path, was: str, now: str, said: str
) -> None:
    text = (home / "rad.yaml").read_text()
    assert was in text
    (home / "bad.yaml").write_text(text.replace(was, now, 1))
    with pytest.raises(USER_ERRORS) as refused:
        taken(home, f"csv:{home}/log.csv", tmp_path / "data", "bad.yaml")
    assert f"bad.yaml{said.format(home)}" in str(refused.value)


def test_other_sources_are_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    for source, env, said in (
        (f"csv:{home}/log.csv", "", "csv: does not say what it is a log of; give --env"),
        (f"csv:{home}/none.csv", "arm.yaml", "no such file or folder"),
        (f"lerobot:{home}", "arm.yaml", "is no LeRobot dataset: there is no "),
        (f"csv:{home}/log.csv", "arm.yaml", "has no column of times"),
    ):
        with pytest.raises(USER_ERRORS) as refused:
            taken(home, source, tmp_path / "data", env=env)
        assert said in str(refused.value)
