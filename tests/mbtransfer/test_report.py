"""The report: one file that opens anywhere, shows what is there, and says what is not."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mbtransfer.errors import UserError
from mbtransfer.report import write_report
from mbtransfer.report.headline import percent
from mbtransfer.report.terminal import print_table
from mbtransfer.rows import EpisodeResult, append_rows, read_rows
from mbtransfer.statistics import summarise

FIXTURES = [
    "microwave",
    "hinge_cabinet",
    "slide_cabinet",
    "drawer",
    "light_switch",
    "left_knob",
    "right_knob",
    "tap",
    "kettle",
]
TASKS = {
    "source": ["microwave_open", "hinge_cabinet_open", "drawer_open", "light_on", "left_knob_on", "tap_open"],
    "held_out": [
        "microwave_half",
        "drawer_half",
        "light_off",
        "tap_half",
        "right_knob_on",
        "right_knob_low",
        "kettle_left",
    ],
    "recipes": ["breakfast", "tea_for_two", "tidy_up", "reheat_dinner", "light_and_kettle", "all_doors"],
}
RATES = {"source": 0.985, "held_out": 0.96, "recipes": 0.95}


def fake_rows(seeds: int = 3, episodes: int = 10) -> list[EpisodeResult]:
    """What a demo would leave: learned and oracle on every task, and held-out tasks with fewer labels."""
    generator = np.random.default_rng(0)
    rows = []
    for split, names in TASKS.items():
        for name in names:
            hard = 0.86 if name == "right_knob_low" else 1.0
            for seed in range(seeds):
                for episode in range(episodes):
                    rows.append(fake_row(generator, name, split, seed, episode, RATES[split] * hard))
                    rows.append(fake_row(generator, name, split, seed, episode, 0.997, dynamics="oracle"))
                    if split == "held_out":
                        for labels, rate in ((100, 0.72), (1000, 0.88)):
                            rows.append(fake_row(generator, name, split, seed, episode, rate, labels=labels))
    return rows


def fake_row(
    generator: np.random.Generator,
    name: str,
    split: str,
    seed: int,
    episode: int,
    rate: float,
    dynamics: str = "learned",
    labels: int = 10000,
) -> EpisodeResult:
    success, learned = bool(generator.random() < rate), dynamics == "learned"
    total = int(generator.integers(3, 7)) if split == "recipes" else 1
    steps = int(generator.integers(12, 40)) * total if success else 45 * total
    return EpisodeResult(
        task=name,
        kind="recipe" if split == "recipes" else "task",
        split=split,
        planner="mppi",
        dynamics=dynamics,
        reward="learned" if learned else "true",
        labels=labels if learned else 0,
        seed=seed,
        episode=episode,
        success=success,
        return_=float(generator.normal(12 if success else -20, 4)),
        steps=steps,
        steps_to_success=steps if success else None,
        steps_done=total if success else total - 1,
        steps_total=total,
        plan_ms=float((8.4 if learned else 36) * generator.lognormal(0, 0.12)),
    )


def fake_diagnostics() -> dict[str, Any]:
    generator = np.random.default_rng(1)
    horizon = np.arange(1, 13)
    spread = generator.lognormal(-3, 0.8, 1500)
    error = spread * generator.lognormal(0.3, 0.5, 1500)
    visited = generator.random(90) < 0.5
    score = np.where(visited, generator.beta(2, 7, 90), generator.beta(7, 2, 90))
    rewards = []
    for name in TASKS["source"] + TASKS["held_out"]:
        true = generator.normal(-1, 0.6, 400) + 2 * (generator.random(400) < 0.2)
        noise = generator.normal(0, generator.uniform(0.05, 0.4), 400)
        rewards.append({"task": name, "true": true.tolist(), "predicted": (0.95 * true + noise).tolist()})
    return {
        "horizon_error": {
            "horizon": horizon.tolist(),
            "model": (0.02 * horizon**0.9).tolist(),
            "naive": (0.12 * horizon**0.7).tolist(),
        },
        "disagreement": {"disagreement": spread.tolist(), "error": error.tolist(), "spearman": 0.81},
        "reward": rewards,
        "check": {
            "auroc": 0.97,
            "score": score.tolist(),
            "visited": visited.astype(int).tolist(),
            "fixture": [FIXTURES[i % 9] for i in range(90)],
        },
    }


def fake_fit() -> pd.DataFrame:
    generator = np.random.default_rng(2)
    epoch = np.tile(np.arange(1, 21), 2)
    fall = np.exp(-np.arange(1, 41) / 9)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 0.05 + 0.6 * fall * generator.lognormal(0, 0.03, 40),
            "valid_loss": 0.07 + 0.6 * fall * generator.lognormal(0, 0.05, 40),
            "rollout_error": 0.2 + 0.9 * fall * generator.lognormal(0, 0.05, 40),
            "seconds": 1.1,
        }
    )


def fake_summary(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        **summarise(rows),
        "wall_seconds": {"collect": 21.4, "fit": 44.0, "evaluate": 150.2, "adapt": 61.0, "films": 12.5},
        "transitions": 63000,
        "adapt": {"episodes": [0, 1, 5, 10], "new": [0.0, 0.6, 0.97, 1.0], "old": [0.98, 0.98, 0.97, 0.98]},
        "labels": {"labels": [100, 1000, 10000], "success": [0.71, 0.88, 0.97]},
        "check": {"auroc": 0.97},
        "plan_ms": {"p50": 8.3, "p95": 10.9, "p99": 12.2},
        "settings": {
            "env": "kitchen",
            "seed": 0,
            "planner": {"name": "mppi", "horizon": 12, "candidates": 64},
            "model": {"members": 5, "hidden": [200, 200]},
        },
    }


def strip_png() -> bytes:
    buffer = BytesIO()
    matplotlib.image.imsave(buffer, np.random.default_rng(3).random((8, 48, 3)))
    return buffer.getvalue()


def fill(folder: Path, seeds: int = 2, episodes: int = 4) -> Path:
    """A complete results folder."""
    append_rows(folder / "rows.csv", fake_rows(seeds, episodes))
    fake_fit().to_csv(folder / "fit.csv", index=False)
    (folder / "diagnostics.json").write_text(json.dumps(fake_diagnostics()))
    (folder / "summary.json").write_text(json.dumps(fake_summary(read_rows(folder / "rows.csv"))))
    (folder / "media").mkdir()
    for name in TASKS["recipes"]:
        (folder / "media" / f"{name}.png").write_bytes(strip_png())
        (folder / "media" / f"{name}.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    return folder


TITLES = (
    "Success by labels per head",
    "Adapting to a new task",
    "Loss of the dynamics",
    "Prediction error by horizon",
    "Disagreement against error",
    "Warning before running",
    "Reward, predicted against true",
    "Time of one decision",
    "Where the time went",
    "Settings",
)


class Page(HTMLParser):
    """Collects what a browser would fetch and what a reader would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "poster")
        ]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("demo"), seeds=3, episodes=10)


@pytest.fixture(scope="module")
def page(complete: Path) -> Page:
    return page_of(complete)


def test_the_headline_says_what_was_done_in_numbers(page: Page) -> None:
    text = page.text
    did = r"One model of one kitchen, learned from 63,000 control steps in 65 s, "
    solved = r"solves 9\d% of held-out tasks and 9\d% of recipes that nobody trained it for\."
    assert re.search(did + solved, text)


def test_a_complete_folder_leaves_nothing_missing(page: Page) -> None:
    assert "There is no" not in page.text
    assert all(title in page.text for title in TITLES)
    assert page.tags.count("video") == len(TASKS["recipes"])
    assert page.tags.count("img") == len(TASKS["recipes"])
    for names in TASKS.values():
        assert all(name.replace("_", " ") in page.text for name in names)


def test_the_file_needs_no_network_and_no_script(complete: Path, page: Page) -> None:
    assert "script" not in page.tags
    assert all(link.startswith("#") or urlparse(link).scheme == "data" for link in page.links)
    html = (complete / "report.html").read_text()
    assert not re.search(r"url\((?!#)|@import", html)


def test_identifiers_in_the_page_are_unique(page: Page) -> None:
    ids = page.ids
    assert len(ids) == len(set(ids))


def test_the_file_stays_small_without_videos(tmp_path: Path) -> None:
    fill(tmp_path)
    for film in (tmp_path / "media").glob("*.mp4"):
        film.unlink()
    assert write_report(tmp_path).stat().st_size < 2_000_000


def test_the_same_files_give_the_same_bytes(complete: Path) -> None:
    first = write_report(complete).read_bytes()
    assert write_report(complete).read_bytes() == first


def test_a_report_is_written_over_the_last_one_and_leaves_nothing_else(complete: Path) -> None:
    before = {path.name for path in complete.iterdir()} | {"report.html"}
    assert write_report(complete) == complete / "report.html"
    assert {path.name for path in complete.iterdir()} == before


def test_intervals_and_the_oracle_stand_beside_the_learned_model(complete: Path, page: Page) -> None:
    text = page.text
    summary = summarise(read_rows(complete / "rows.csv"))
    for splits in (summary["splits"], summary["oracle"]):
        for entry in splits.values():
            low, high = entry["success_ci95"]
            assert f"{100 * low:.1f}–{percent(high, 1)}" in text


def test_figures_hold_text_as_text(page: Page) -> None:
    text = page.text
    assert "steps ahead" in text
    assert "labelled transitions per reward head" in text
    assert "mathdefault" not in text


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json", "media"])
def test_a_missing_file_costs_its_part_only(tmp_path: Path, name: str) -> None:
    (fill(tmp_path, 1, 2) / name).rename(tmp_path / "elsewhere")
    page = page_of(tmp_path)
    assert f"There is no {name}" in page.text or "no media" in page.text
    assert "Held-out tasks" in page.text


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json"])
def test_a_damaged_file_costs_its_part_only(tmp_path: Path, name: str) -> None:
    (fill(tmp_path, 1, 2) / name).write_bytes(b"\x00\xffnonsense")
    page = page_of(tmp_path)
    assert f"{name} could not be read" in page.text
    assert "Held-out tasks" in page.text


@pytest.mark.parametrize("name", ["rows.csv", "fit.csv", "diagnostics.json", "summary.json", "media"])
def test_one_file_alone_is_enough_for_a_report(tmp_path: Path, complete: Path, name: str) -> None:
    source = complete / name
    if source.is_dir():
        (tmp_path / name).mkdir()
        for film in source.iterdir():
            (tmp_path / name / film.name).write_bytes(film.read_bytes())
    else:
        (tmp_path / name).write_bytes(source.read_bytes())
    assert "There is no" in page_of(tmp_path).text


def test_rows_alone_give_the_same_figures_as_rows_and_summary(tmp_path: Path, complete: Path) -> None:
    (tmp_path / "rows.csv").write_bytes((complete / "rows.csv").read_bytes())
    shares = [re.findall(r"\d\d\.\d–[\d.]+%", page_of(folder).text)[:6] for folder in (tmp_path, complete)]
    assert shares[0] == shares[1] != []


def test_the_last_row_torn_by_a_kill_is_left_out(tmp_path: Path) -> None:
    append_rows(tmp_path / "rows.csv", fake_rows(seeds=1, episodes=2))
    with open(tmp_path / "rows.csv", "ab") as file:
        file.write(b"torn_task,task,source,mp")
    assert "torn task" not in page_of(tmp_path).text


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_anything_known_is_one_clear_line(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "results"
    if make:
        folder.mkdir()
        (folder / "notes.txt").write_text("hello")
    with pytest.raises(UserError) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value) and "results" in str(caught.value)
    assert not (folder / "report.html").exists()


NASTY = '<script>alert("$x_1$")</script>'


def test_everything_shown_is_escaped(tmp_path: Path) -> None:
    fill(tmp_path)
    nasty = fake_row(np.random.default_rng(0), NASTY, "user", 0, 0, 1.0)
    append_rows(tmp_path / "rows.csv", [nasty])
    diagnostics = fake_diagnostics()
    diagnostics["check"]["fixture"][0] = NASTY
    diagnostics["reward"][0]["task"] = NASTY
    (tmp_path / "diagnostics.json").write_text(json.dumps(diagnostics))
    summary = fake_summary(read_rows(tmp_path / "rows.csv"))
    summary["settings"][NASTY] = NASTY
    summary["wall_seconds"][NASTY] = 3.0
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of(tmp_path)
    assert "script" not in page.tags
    assert page.text.count(NASTY.replace("_", " ")) >= 3 and page.text.count(NASTY) >= 2


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("horizon_error", {"horizon": [1, 2], "model": [0.1], "naive": [0.2, 0.3]}, "differ in length"),
        ("horizon_error", {"horizon": [1], "model": ["a"], "naive": [0.2]}, "does not hold plain numbers"),
        ("horizon_error", {"horizon": [1], "model": [None], "naive": [0.2]}, "no finite numbers"),
        ("disagreement", None, "has no “disagreement”"),
        ("reward", "nothing", "not a list of tasks"),
        ("check", 3, "not a table"),
    ],
)
def test_a_part_that_cannot_be_drawn_says_why(tmp_path: Path, part: str, value: Any, said: str) -> None:
    diagnostics = {**fake_diagnostics(), part: value}
    (tmp_path / "diagnostics.json").write_text(json.dumps(diagnostics))
    assert said in page_of(tmp_path).text


@pytest.mark.parametrize("value", [None, "x", -1, float("nan"), 1e300, [[1]]])
def test_odd_values_in_a_summary_never_stop_the_report(tmp_path: Path, value: Any) -> None:
    append_rows(tmp_path / "rows.csv", fake_rows(seeds=1, episodes=1))
    summary = fake_summary(read_rows(tmp_path / "rows.csv"))
    (tmp_path / "rows.csv").unlink()
    for keys in (list(summary), ["splits", "adapt", "wall_seconds"], ["tasks", "labels", "plan_ms"]):
        broken = {**summary, **dict.fromkeys(keys, value)}
        (tmp_path / "summary.json").write_text(json.dumps(broken))
        assert "mbtransfer report" in page_of(tmp_path).text


def test_a_film_that_is_no_film_is_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "breakfast.png").write_bytes(strip_png())
    (tmp_path / "media" / "breakfast.mp4").write_bytes(b"half a fi")
    page = page_of(tmp_path)
    assert "breakfast.mp4 is left out" in page.text
    assert "video" not in page.tags and "img" in page.tags


def test_rows_with_one_way_of_running_show_no_table_of_ways(tmp_path: Path, page: Page) -> None:
    append_rows(
        tmp_path / "rows.csv", [fake_row(np.random.default_rng(0), "drawer_open", "source", 0, 0, 1.0)]
    )
    question = "Every planner, reward and number of labels"
    assert question not in page_of(tmp_path).text
    assert question in page.text


def test_oracle_rows_alone_do_not_claim_a_learned_model(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [fake_row(generator, "drawer_half", "held_out", 0, i, 1.0, dynamics="oracle") for i in range(5)]
    append_rows(tmp_path / "rows.csv", rows)
    text = page_of(tmp_path).text
    assert "The planner, on the true simulator, solves 100% of held-out tasks." in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.9996, "99.9%"), (0.996, "99.6%"), (0.97, "97%"), (0.0, "0%"), (0.0004, "0.1%")],
)
def test_percent_never_rounds_to_certainty(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_final_table_names_splits_intervals_worst_and_oracle(complete: Path, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    summary = summarise(read_rows(complete / "rows.csv"))
    print_table(summary, console)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert all(len(line) <= width for line in printed.splitlines())
    assert f"{100 * summary['splits']['held_out']['success_mean']:.1f}%" in printed
    assert "oracle" in printed
    assert ("right_knob_low" in printed) == (width >= 90)


def test_the_final_table_takes_names_as_they_are_and_gaps_as_dashes() -> None:
    console = Console(file=StringIO(), width=120)
    task = {"name": "[red]x[/red]", "split": "user", "episodes": 4, "success_rate": 0.5}
    print_table({"splits": {"user": {"success_mean": None, "success_min": 0.5}}, "tasks": [task]}, console)
    print_table({}, console)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert "[red]x[/red]" in printed and "–" in printed and "No episode was evaluated." in printed


def test_tasks_without_an_end_are_told_by_their_returns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        replace(fake_row(rng, name, "source", 0, n, 0.0), steps_done=0, steps_total=0, return_=worth + n)
        for name, worth in (("walk", 900.0), ("run", 300.0))
        for n in range(3)
    ]
    append_rows(tmp_path / "rows.csv", rows)
    text = " ".join(write_report(tmp_path).read_text().split())
    assert "gathers a mean return of 601 in 2 tasks" in text and "there is nothing to succeed in" in text
    assert (
        text.index("<b>run</b>") < text.index("<b>walk</b>")
        and "901.0" in text
        and "0%" not in text.split("<body>")[1]
    )
    append_rows(tmp_path / "rows.csv", [fake_row(rng, "drawer_open", "source", 0, n, 1.0) for n in range(3)])
    text = " ".join(write_report(tmp_path).read_text().split())
    assert "solves 100% of its source tasks" in text and "Returns" in text
