"""A model is pushed with a card, pulled elsewhere, and measured again; what is not right is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mbtransfer.cli.commands.pull import run_pull
from mbtransfer.cli.commands.push import run_push
from mbtransfer.cli.commands.verify import run_verify
from mbtransfer.cli.main import main
from mbtransfer.config import PullConfig, PushConfig, VerifyConfig
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluation.statistics import wilson_interval
from mbtransfer.model import Model
from mbtransfer.runtime.files import write_sealed
from mbtransfer.sharing.card import read_card, write_card
from mbtransfer.sharing.contents import CARD, PAGE, content_record
from mbtransfer.sharing.page import page
from tests.mbtransfer.evaluation.tiny import quiet


def verified(folder: Path, **flags: Any) -> dict[str, Any]:
    return run_verify(VerifyConfig(dir=folder, workers=1, device="cpu", **flags), quiet())


@pytest.fixture
def copy(pushed: Path, tmp_path: Path) -> Path:
    """What was pushed, to be spoilt."""
    return Path(shutil.copytree(pushed, tmp_path / "copy"))


def test_a_pushed_model_is_pulled_and_verified(pushed: Path, rows: Path, tmp_path: Path) -> None:
    pulled = tmp_path / "deep" / "pulled"
    run_pull(PullConfig(source=str(pushed), dir=pulled), quiet())
    names = sorted(path.name for path in pulled.iterdir())
    assert names == sorted(path.name for path in pushed.iterdir()) and {"README.md", "card.json"} < set(names)
    assert Model.load(pulled, device="cpu").digest == Model.load(pushed, device="cpu").digest
    assert [path.name for path in pulled.parent.iterdir()] == ["pulled"]
    found = verified(pulled, recipes=(str(rows.with_name("two.yaml")),), json=tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text())["outside"] == found["outside"] == 0
    assert not found["not_run"]
    assert [one["name"] for one in found["figures"]] == ["light_on", "drawer_open", "two", "source: all 2"]
    assert all(one["claimed"] == one["found"] and one["p"] == pytest.approx(1.0) for one in found["figures"])


def test_a_part_is_verified_with_new_seeds(pushed: Path, tmp_path: Path) -> None:
    found = verified(pushed, tasks=("light_on", "two"), seeds="70", episodes=1, out=tmp_path / "out")
    assert [(one["name"], one["episodes"]) for one in found["figures"]] == [("light_on", 2)]
    assert found["not_run"] == ["two was not run: " + found["not_run"][0].partition(": ")[2]]
    assert ",70,0," in (tmp_path / "out" / "measurement-0.csv").read_text()


@pytest.mark.parametrize("measure", ["success", "wilson"])
def test_a_card_with_a_new_checksum_must_hold_together(copy: Path, measure: str) -> None:
    content = json.loads((copy / "card.json").read_text())
    del content["sha256"]
    task = content["measurements"][0]["tasks"][0]
    if measure == "success":
        task["success"] = 0.875
    else:
        task["success_ci95"][0] += 0.01
    write_sealed(copy / "card.json", content)
    with pytest.raises(UserError, match="its success is not that of its counts"):
        verified(copy)


def test_a_claim_that_is_not_so_is_outside(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    so = next(one.success for one in read_card(copy)[0].measurements[0].tasks if one.name == "light_on")
    _claim(copy, "light_on", 0 if so > 0.5 else 12, 6)
    monkeypatch.chdir(copy.parent)
    argv = ["verify", "copy", "--tasks", "light_on", "--workers", "1", "--device", "cpu", "--threads", "1"]
    assert main(argv) == 1
    assert _one_line(capsys) == "error: 1 of 1 figures are outside of what the card claims: light_on"


def _claim(folder: Path, name: str, successes: int, episodes: int) -> None:
    """Write a card that claims something else of a task of two seeds, with checksums that are right."""
    card, _ = read_card(folder)
    (measured,) = card.measurements
    interval = wilson_interval(successes, 2 * episodes)
    tasks = tuple(
        replace(
            one,
            episodes=episodes,
            successes=successes,
            success=successes / (2 * episodes),
            success_ci95=interval,
        )
        if one.name == name
        else one
        for one in measured.tasks
    )
    files = {path: record for path, record in card.files.items() if path != PAGE}
    changed = replace(card, measurements=(replace(measured, tasks=tasks, splits=()),), files=files)
    text = page(changed).encode()
    (folder / PAGE).write_bytes(text)
    write_card(folder / CARD, replace(changed, files=files | {PAGE: content_record(text)}))


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("card.json", '"licence": "mit"', '"licence": "bsd"'),
        ("card.json", '"successes": ', '"successes": 1'),
        ("README.md", "drawer_open", "drawer_shut"),
        ("manifest.json", '"format"', '"Format"'),
    ],
)
def test_an_edited_card_or_file_is_found(
    copy: Path, name: str, old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / name
    path.write_text(path.read_text().replace(old, new, 1))
    assert main(["verify", str(copy)]) == 2
    assert str(path) in _one_line(capsys)
    assert main(["pull", str(copy), str(copy.parent / "pulled")]) == 2
    assert name in _one_line(capsys) and not (copy.parent / "pulled").exists()
    assert [one.name for one in copy.parent.iterdir()] == ["copy"]


def test_flipped_missing_and_added_files_are_found(copy: Path) -> None:
    (weights,) = copy.glob("dynamics-*")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(UserError, match="its checksum differs"):
        verified(copy)
    with pytest.raises(UserError, match="its checksum differs"):
        run_pull(PullConfig(source=str(copy), dir=copy.parent / "pulled"), quiet())
    weights.unlink()
    with pytest.raises(UserError, match="missing"):
        verified(copy)
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    (copy / "prepared").mkdir()
    (copy / "prepared" / "light_on-00000000.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match="was added"):
        verified(copy)


def test_the_checksum_that_an_author_tells_binds_the_card(copy: Path) -> None:
    _, checksum = read_card(copy)
    _claim(copy, "light_on", 4, 2)
    assert read_card(copy)[1] != checksum
    with pytest.raises(UserError, match="another card than you expect"):
        verified(copy, card=checksum[:12])


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/passwd", "model.pkl", "prepared/../../x-00000000.safetensors", "a.py"]
)
def test_only_files_of_a_model_are_taken(copy: Path, name: str) -> None:
    content = json.loads((copy / CARD).read_text())
    del content["sha256"]
    content["files"][name] = {"size": 1, "sha256": "0" * 64}
    write_sealed(copy / CARD, content)
    with pytest.raises(UserError, match="which is no file of a model"):
        run_pull(PullConfig(source=str(copy), dir=copy.parent / "pulled"), quiet())
    assert [one.name for one in copy.parent.iterdir()] == ["copy"]


def test_a_card_runs_no_code(copy: Path) -> None:
    content = json.loads((copy / CARD).read_text())
    del content["sha256"]
    (copy.parent / "evil.py").write_text("raise SystemExit('ran')")
    content["measurements"][0]["settings"]["planner"] = f"{copy.parent / 'evil.py'}:Evil"
    write_sealed(copy / CARD, content)
    with pytest.raises(UserError, match="names Python code, planner"):
        verified(copy)


def test_what_is_there_is_never_written_to(pushed: Path, fitted_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", pushed):
        with pytest.raises(UserError, match="is there already"):
            run_pull(PullConfig(source=str(pushed), dir=target), quiet())
        with pytest.raises(UserError, match="is there already"):
            run_push(PushConfig(dir=fitted_folder, target=str(target)), quiet())


def test_wrong_sources_are_one_line(tmp_path: Path, fitted_folder: Path, pushed: Path) -> None:
    for source, words in ((tmp_path / "none", "there is no folder"), (fitted_folder, "has no card.json")):
        with pytest.raises(UserError, match=words):
            run_pull(PullConfig(source=str(source), dir=tmp_path / "new"), quiet())
    with pytest.raises(UserError, match="no folder of a model or dataset"):
        run_push(PushConfig(dir=tmp_path, target=str(tmp_path / "new")), quiet())
    with pytest.raises(UserError, match="no identifier of a licence"):
        run_push(PushConfig(dir=fitted_folder, target=str(tmp_path / "new"), licence="My Own"), quiet())
    with pytest.raises(UserError, match="the card has no figure of 'light_off'"):
        verified(pushed, tasks=("light_off",))
    with pytest.raises(UserError, match="none of card, new"):
        verified(pushed, seeds="later")
    with pytest.raises(UserError, match=r"has no card\.json"):
        verified(fitted_folder)
    assert not list(tmp_path.iterdir())


def test_what_was_pulled_is_pushed_on_with_its_card(pushed: Path, tmp_path: Path) -> None:
    run_push(PushConfig(dir=pushed, target=str(tmp_path / "mirror")), quiet())
    assert read_card(tmp_path / "mirror") == read_card(pushed)


def test_a_dataset_travels_too(dataset: Dataset, tmp_path: Path) -> None:
    target, pulled = tmp_path / "pushed", tmp_path / "pulled"
    run_push(PushConfig(dir=dataset.path, target=str(target), licence="cc-by-4.0"), quiet())
    run_pull(PullConfig(source=str(target), dir=pulled), quiet())
    assert Dataset.open(pulled).digest == dataset.digest
    card, _ = read_card(pulled)
    assert card.trained_on["episodes"] == 40 and sum(card.trained_on["behaviours"].values()) == 40
    assert verified(pulled)["figures"] == []
    shard = next((target / "shards").glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match="its checksum differs"):
        run_pull(PullConfig(source=str(target), dir=tmp_path / "again"), quiet())
