"""The page in a real browser: a task by a click, a recipe with a mistake, a push, another planner, a dragged goal."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mbtransfer.live.exact_model import save_exact_model

pytest.importorskip("viser", reason="needs the extra `live`")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium: apt-get install chromium"),
]

WAIT = 120_000
"""Milliseconds that anything may take on a busy machine."""

SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


TOUCH = '''
"""Touch the handle of the drawer."""

handle = list(spec.fixture("drawer").handle)


def reward(obs, action, next_obs):
    return -next_obs[..., handle].norm(dim=-1)


def success(obs):
    return obs[..., handle].norm(dim=-1) < 0.08
'''


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page runs, of a model whose hand is exact; its episodes go to `live` beside the model."""
    folder = tmp_path_factory.mktemp("page")
    save_exact_model(folder / "model")
    (folder / "touch_drawer.py").write_text(TOUCH)
    argv = [
        sys.executable, "-m", "mbtransfer", "live", "--model", str(folder / "model"), "--port", str(free_port()),
        "--task-file", str(folder / "touch_drawer.py"),
        "--out", str(folder / "live"), "--candidates", "24", "--iterations", "1", "--horizon", "6",
    ]  # fmt: skip
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        found = re.match(r"(http://\S+) shows kitchen", said)
        assert found, said
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        opened = browser.new_page(viewport={"width": 1000, "height": 700})
        opened.set_default_timeout(WAIT)
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(address)
        opened.get_by_role("tab", name="Task").wait_for()
        yield opened
        browser.close()
        assert not wrong


def choose(page: Any, label: str, option: str) -> None:
    """Take an option of the drop-down list with that label."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def picture_of(page: Any, folder: Path) -> Any:
    """The page as it is, [height, width, 3]."""
    import numpy as np
    from PIL import Image

    page.screenshot(path=folder / "page.png")
    return np.asarray(Image.open(folder / "page.png").convert("RGB"), int)


def blue_arrow(page: Any, folder: Path, without: Any) -> tuple[int, int]:
    """Where to take hold of the blue arrow, a little below its tip, pixels; it is waited for."""
    import numpy as np

    for _ in range(60):
        new = picture_of(page, folder)
        red, green, blue = new[:, :700].transpose(2, 0, 1)
        changed = np.abs(new - without)[:, :700].sum(axis=-1) > 60
        rows, columns = np.nonzero(changed & (blue > red + 90) & (blue > green + 60))
        if len(rows) > 20:
            tip = rows.min()
            return int(np.median(columns[rows < tip + 4])), int(tip + 4)
        page.wait_for_timeout(500)
    raise AssertionError("no arrows are to be seen")


def test_a_mistake_in_a_recipe_is_shown_and_the_mended_one_is_done(page: Any) -> None:
    open_tab(page, "Recipe")
    editor = page.locator("textarea").first
    editor.fill("name: mine\nsteps:\n  - drawer_opn\n")
    page.get_by_text("did you mean 'drawer_open'").wait_for()
    page.get_by_text("line 3", exact=True).wait_for()
    editor.fill("name: mine\nsteps:\n  - reach: drawer\n    timeout: 60\n")
    page.get_by_text("✔ steps: 1;").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("· done ·").wait_for()

    open_tab(page, "Episode")
    page.get_by_role("button", name="Keep the episode as data").click()
    page.get_by_text(re.compile(r"\d+ control steps are in")).wait_for()


def test_a_task_is_chosen_by_clicking_and_pursued(page: Any) -> None:
    choose(page, "Task", "drawer_open")
    page.get_by_role("button", name="Do it").click()
    page.get_by_text(re.compile(r"drawer [\d.-]+ → 0\.28 m")).first.wait_for()
    page.get_by_text("⚠ the pool moved drawer over only 0% of the way").wait_for()
    page.get_by_text("Stop", exact=True).click()
    page.get_by_text("· stopped").wait_for()


def test_the_planner_is_changed_while_it_runs(page: Any) -> None:
    """Time is paused and goes on by steps, so that a slow browser finds the robot still at work."""
    page.get_by_text("Pause", exact=True).click()
    page.get_by_text("Go on", exact=True).wait_for()
    choose(page, "Task", "drawer_open")
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("drawer_open · begins").wait_for()
    page.get_by_text("Step", exact=True).click()
    page.get_by_text("at work · step 1 of").wait_for()
    open_tab(page, "Planner")
    page.get_by_text("in force: cem, 24 candidates, 6 control steps ahead").wait_for()
    choose(page, "Planner", "mppi")
    page.get_by_text("in force: mppi, 24 candidates, 6 control steps ahead").wait_for()
    for step in (2, 3):
        page.get_by_text("Step", exact=True).click()
        page.get_by_text(f"at work · step {step} of").wait_for()
    choose(page, "Planner", "cem")
    page.get_by_text("in force: cem").wait_for()
    page.get_by_text("Stop", exact=True).click()
    page.get_by_text("· stopped").wait_for()
    page.get_by_text("Go on", exact=True).click()
    page.get_by_text("Pause", exact=True).wait_for()


def test_a_point_is_reached_that_is_dragged_in_the_scene(page: Any, tmp_path: Path) -> None:
    """The arrows are what is new in the picture when they are shown; the blue one points upwards."""
    page.get_by_text("Reset", exact=True).click()
    page.get_by_text("nothing to do yet").wait_for()
    without = picture_of(page, tmp_path)
    open_tab(page, "Move")
    page.get_by_label("Arrows to drag").check()
    x, top = blue_arrow(page, tmp_path, without)
    page.mouse.move(x, top)
    page.mouse.down()
    for way in range(0, 50, 10):
        page.mouse.move(x, top - way, steps=2)
    page.mouse.up()
    page.get_by_text(re.compile(r"reach\([\d., -]+\)")).first.wait_for()
    page.get_by_text("· done ·").wait_for()
    page.get_by_label("Arrows to drag").uncheck()


def test_a_task_is_chosen_by_clicking_and_done(page: Any) -> None:
    choose(page, "Task", "drawer_close")
    choose(page, "Task", "touch_drawer")
    page.get_by_text("Touch the handle of the drawer").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text(re.compile("touch_drawer · done ·")).wait_for()


def test_a_drawer_is_pushed_open_by_hand(page: Any) -> None:
    open_tab(page, "Move")
    choose(page, "Fixture", "drawer")
    page.get_by_text("To (m)").wait_for()
    page.get_by_role("button", name="Push it there by hand").click()
    page.get_by_role("button", name="Let the robot move it").click()
    page.get_by_text(re.compile(r"move\(drawer, 0\.1\d*\)")).first.wait_for()
    page.get_by_text("· done ·").wait_for()  # it stands there already


def test_it_is_seen(page: Any, tmp_path: Path) -> None:
    """The middle of the picture is no single colour: the scene is drawn."""
    page.wait_for_timeout(5_000)
    middle = picture_of(page, tmp_path)[200:500, 100:500]
    assert middle.std(axis=(0, 1)).min() > 15
