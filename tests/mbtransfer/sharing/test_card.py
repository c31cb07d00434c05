"""What a card says comes from rows and files, and from nothing else."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mbtransfer.cli.parser import parse
from mbtransfer.config import EvaluateConfig
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.model import Model
from mbtransfer.sharing.card import read_card
from mbtransfer.sharing.describe import findings, model_card
from mbtransfer.sharing.measured import config_of, read_measurements, rows_files
from mbtransfer.sharing.page import cell, page


def test_the_card_tells_what_the_rows_and_the_model_do(
    pushed: Path, rows: Path, fitted: Model, dataset: Dataset
) -> None:
    card, _ = read_card(pushed)
    assert card.digest == fitted.digest and card.environment == "kitchen" and card.licence == "mit"
    told = card.trained_on
    assert (told["transitions"], told["episodes"], told["data"]) == (
        dataset.steps,
        len(dataset),
        dataset.digest,
    )
    behaviours = dataset.info()["behaviours"]
    assert told["behaviours"] == {name: of["episodes"] for name, of in behaviours.items()}
    summary = summarise(read_rows(rows))
    (measured,) = card.measurements
    for one, expected in zip(measured.tasks, summary["tasks"], strict=True):
        assert (one.name, one.total, one.success) == (
            expected["name"],
            expected["episodes"],
            expected["success_rate"],
        )
        assert one.seeds == (3, 5) and list(one.return_ci95) == pytest.approx(expected["return_ci95"])
    (split,) = measured.splits
    assert list(split.success_ci95) == pytest.approx(summary["splits"]["source"]["success_ci95"])
    assert measured.made_on[0]["versions"]["torch"] == card.versions["torch"]
    assert set(card.limits["coverage"]) == {fixture.name for fixture in fitted.environment.spec.fixtures}


def test_the_command_on_the_card_asks_for_the_same(pushed: Path) -> None:
    (measured,) = read_card(pushed)[0].measurements
    words = shlex.split(measured.command)
    asked = parse(words[1:])
    assert isinstance(asked, EvaluateConfig) and asked.tasks == ("light_on", "drawer_open")
    assert (asked.recipes, asked.episodes, asked.seeds) == (("two",), 2, (3, 5))
    by_command = EvalConfig.from_flags(replace(asked, model=pushed, device="cpu")).resolve().described()
    by_card = config_of(measured.settings, pushed, device="cpu").resolve().described()
    assert by_command == by_card == measured.settings
    assert by_card["planner_settings"]["momentum"] == 0.25


def test_the_page_has_front_matter_and_every_figure(pushed: Path) -> None:
    text = (pushed / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["license"] == "mit" and about["library_name"] == "mbtransfer" and "robotics" in about["tags"]
    card, _ = read_card(pushed)
    (measured,) = card.measurements
    for one in measured.tasks:
        line = next(line for line in body.splitlines() if line.startswith(f"| {cell(one.name)} |"))
        assert (
            f"{one.success:.3f}" in line and f"[{one.success_ci95[0]:.3f}, {one.success_ci95[1]:.3f}]" in line
        )
    assert measured.command in body and all(
        record.sha256 in body for name, record in card.files.items() if "md" not in name
    )
    assert "`mbtransfer check` was not run" in body


def test_the_hubs_own_reader_takes_the_front_matter(pushed: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    about = hub.ModelCard((pushed / "README.md").read_text()).data
    (measured,) = read_card(pushed)[0].measurements
    assert about.eval_results[0].metric_value == round(measured.splits[0].success, 4)


def test_names_cannot_write_markup(pushed: Path) -> None:
    card, _ = read_card(pushed)
    whole = page(replace(card, name="a\n---\n# b <script> | [x](http://y)", files={}))
    _, front, text = whole.split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "mit"
    assert "\n# a" in text and "\n# b" not in text and "<script" not in text and "[x](" not in text


def test_limits_are_what_check_says(fitted: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = fitted.environment
    few = {name: environment.tasks[name] for name in ("light_on",)}
    told: list[str] = []
    found = findings(replace(fitted, environment=replace(environment, tasks=few)), told.append)
    assert [one["task"] for one in found] == list(few) and len(told) == 1
    assert all(0 <= one["risk"] <= 1 for one in found)


def test_without_results_nothing_is_claimed(fitted_folder: Path, fitted: Model) -> None:
    card = model_card(fitted_folder, fitted, "x", None, check=False)
    assert not card.measurements and "Nothing was measured, so nothing is claimed." in page(card)
    assert "model-index" not in page(card) and "Not stated by the author." in page(card)


def test_data_fill_in_what_an_older_model_did_not_note(
    fitted_folder: Path, fitted: Model, dataset: Dataset
) -> None:
    older = replace(
        fitted, notes={k: v for k, v in fitted.notes.items() if k not in ("episodes", "behaviours")}
    )
    assert model_card(fitted_folder, older, "x", None, check=False).trained_on["episodes"] is None
    filled = model_card(fitted_folder, older, "x", None, check=False, data=dataset.path)
    assert filled.trained_on["episodes"] == len(dataset)
    stranger = replace(fitted, notes=fitted.notes | {"data": "other"})
    with pytest.raises(UserError, match="is not what the model was fitted on"):
        model_card(fitted_folder, stranger, "x", None, check=False, data=dataset.path)


def test_rows_that_are_not_of_this_model_or_not_whole_are_refused(
    rows: Path, fitted: Model, tmp_path: Path, fitted_folder: Path
) -> None:
    with pytest.raises(UserError, match="measured with another model"):
        read_measurements(rows, "0" * 16, "")
    copy = tmp_path / "rows.csv"
    shutil.copy(rows.with_name("rows.settings.json"), tmp_path)
    lines = rows.read_text().splitlines(keepends=True)
    copy.write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match=r"lacks episodes of two, seed 5: 1 of 2"):
        read_measurements(copy, fitted.digest, "")
    copy.write_text("".join(lines).replace(",0,", ",1,", 1))
    with pytest.raises(UserError, match="is not as it was written"):
        read_measurements(copy, fitted.digest, "")
    (tmp_path / "rows.settings.json").unlink()
    with pytest.raises(UserError, match="has no rows with their settings"):
        rows_files([tmp_path])
    with pytest.raises(UserError, match="there are no results"):
        rows_files([tmp_path / "none"])
    assert rows_files([rows.parent]) == rows_files([rows]) == [rows]


def test_settings_of_a_card_are_checked(pushed: Path) -> None:
    (measured,) = read_card(pushed)[0].measurements
    for changes, words in (({"particles": "many"}, "particles"), ({"reward": "none"}, "no reward 'none'")):
        with pytest.raises(UserError, match=words):
            config_of(measured.settings | changes, pushed)
    with pytest.raises(UserError, match="'latencies_ms' that this version does not know"):
        config_of(measured.settings | {"latencies_ms": "measured"}, pushed)
    with pytest.raises(UserError, match="lack planner"):
        config_of({k: v for k, v in measured.settings.items() if k != "planner"}, pushed)
    assert json.loads((pushed / "card.json").read_text())["measurements"][0]["settings"] == measured.settings
