"""Planning one task or recipe in front of somebody."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mbtransfer.cli.commands.plan import run_plan
from mbtransfer.config import PlanConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.viewer import way_to_go
from mbtransfer.runtime.terminal import Terminal
from tasks.errors import TaskError
from tasks.registry import make
from tasks.render import RenderUnavailable, backend

CONFIG = PlanConfig(
    dynamics="oracle", reward="true", task="light_on", horizon=8, candidates=16, iterations=2
)  # fmt: skip


def shown(config: PlanConfig, *, terminal: bool = False) -> str:
    screen = io.StringIO()
    run_plan(config, Terminal(file=screen, width=120, force_terminal=terminal))
    return screen.getvalue()


def test_a_task_is_run_and_its_outcome_told(tmp_path: Path) -> None:
    text = shown(replace(CONFIG, json=tmp_path / "out.json"))
    assert "✔ done: light_on in" in text and "ms per decision" in text
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["success"] is True and found["steps"] == len(found["after"])


def test_a_failure_is_a_result(tmp_path: Path) -> None:
    (tmp_path / "hasty.yaml").write_text("name: hasty\nsteps: [light_on, {task: light_off, timeout: 3}]\n")
    text = shown(replace(CONFIG, task=None, recipe=str(tmp_path / "hasty.yaml")))
    assert "✘ failed: hasty: step 2 light_off timed out" in text and "1 of 2 steps" in text


def test_a_terminal_sees_it_live(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("name: short\nsteps: [light_on]\n")
    text = shown(replace(CONFIG, task=None, recipe=str(tmp_path / "short.yaml")), terminal=True)
    assert "▶ light_on" in text and "light_switch" in text and "decision" in text


def test_the_way_to_go_is_told_in_numbers() -> None:
    kitchen = make("kitchen")
    obs = torch.zeros(kitchen.spec.obs_size)
    assert way_to_go(kitchen.task("light_on"), obs).startswith("light_switch 0.00 → 0.60 rad")
    assert way_to_go(kitchen.task("kettle_back_left"), obs).count("→") == 2
    assert way_to_go(kitchen.reach("drawer"), obs) == "hand 0.00 m away"


@pytest.mark.slow
def test_a_video_shows_what_the_robot_is_after(tmp_path: Path) -> None:
    try:
        backend()
    except RenderUnavailable as error:
        pytest.skip(str(error))
    text = shown(replace(CONFIG, video=tmp_path / "light.mp4"))
    assert "wrote" in text and (tmp_path / "light.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_video_without_a_renderer_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(RenderUnavailable, match="MUJOCO_GL"):
        shown(replace(CONFIG, video=tmp_path / "light.mp4"))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task": "light_onn"}, TaskError, "light_on"),
        ({"task": None, "recipe": "teaa"}, TaskError, "tea"),
        ({"task": None}, UserError, "--task NAME or --recipe"),
        ({"recipe": "tea"}, UserError, "choose one"),
        ({"dynamics": "learned"}, UserError, "--model"),
    ],
)
def test_wrong_input_is_one_clear_line(
    changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        shown(replace(CONFIG, **changes))
