"""Does the live page keep up beside the planner? `python -m benchmarks.live --model MODEL [--seconds 20]`.

`mbtransfer live` runs in a process of its own, and headless Chromium, driven by Playwright (`pip install playwright`;
Debian's `chromium`), opens the page and gives a recipe; what is counted ends with it, or after `--seconds`. Told are:

- how long it took from the browser's request until the page and its controls were shown;
- decisions per second: control steps by the page's own headline. `--speed` times real time is the most there can be;
- pictures per second: messages that moved a body of the scene, as they reached the browser over its WebSocket. The
  page batches what belongs to one picture into one message; messages of words and plots alone do not count. How many
  of them the browser draws depends on its graphics card; without one a software renderer takes both cores.
"""

import argparse
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import zstandard  # viser has it

from mbtransfer.errors import UserError
from mbtransfer.runtime.environment import installed
from mbtransfer.runtime.files import write_json

WAIT = 120_000
"""Milliseconds that the browser may take for anything."""

BODY = b"/bodies/"
"""In the name of each node of the scene that moves."""

SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""Flags of Chromium on a machine without a graphics card."""

STEP = re.compile(r"· step (\d+)")
"""The control step in the page's headline."""

FEWEST = 5
"""Control steps without which nothing is told."""


@dataclass
class Heard:
    """When messages reached the browser, seconds of the clock `perf_counter`."""

    pictures: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def take(self, message: str | bytes) -> None:
        """Note a message that came now."""
        moved = isinstance(message, bytes) and BODY in content(message)
        (self.pictures if moved else self.others).append(perf_counter())


def content(message: bytes) -> bytes:
    """What viser has compressed of a message: everything but arrays. Two sizes of 8 bytes each come before it."""
    size = int.from_bytes(message[8:16], "little")
    found: bytes = zstandard.ZstdDecompressor().decompress(message[16 : 16 + size])
    return found


def between(times: list[float], begin: float, end: float) -> int:
    """How many of them are within a time."""
    return sum(begin <= time < end for time in times)


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def start(asked: argparse.Namespace) -> tuple[subprocess.Popen[str], str]:
    """The page's process, and its address.

    Raises:
        UserError: it did not start.
    """
    command = [
        sys.executable, "-m", "mbtransfer", "live", "--model", asked.model, "--port", str(free_port()), *asked.live,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.match(r"http://\S+", said)
    if found is None:
        process.kill()
        raise UserError(f"mbtransfer live did not start: {said.strip()}")
    return process, found[0]


def watch(page: Any, heard: Heard, asked: argparse.Namespace) -> dict[str, float]:
    """Let the robot work for so many seconds or until it is done, and count."""
    page.get_by_role("combobox", name="Speed", exact=True).click()
    page.get_by_role("option", name=asked.speed, exact=True).click()
    page.get_by_role("tab", name="Recipe").click()
    page.get_by_role("combobox", name="Begin with", exact=True).click()
    page.get_by_role("option", name=asked.recipe, exact=True).click()
    page.get_by_text("✔ steps:").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("· at work ·").first.wait_for()
    begin, rows = perf_counter(), list[tuple[float, int]]()
    while perf_counter() - begin < asked.seconds:
        text = page.inner_text("body")
        if (found := STEP.search(text)) is None:
            break
        rows.append((perf_counter(), int(found[1])))
        if "· at work ·" not in text:
            break
        page.wait_for_timeout(100)
    (begin, first), (end, last) = rows[0], rows[-1]
    if last - first < FEWEST:
        raise UserError(f"only {last - first} control steps of {asked.recipe} were seen; give a longer one")
    return {
        "seconds": end - begin,
        "decisions_per_s": (last - first) / (end - begin),
        "pictures_per_s": between(heard.pictures, begin, end) / (end - begin),
        "other_messages_per_s": between(heard.others, begin, end) / (end - begin),
    }


def measure(address: str, asked: argparse.Namespace) -> dict[str, float]:
    """One visit of the page."""
    from playwright.sync_api import sync_playwright

    heard = Heard()
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=asked.chromium, args=[] if asked.gpu else SOFTWARE)
        page = browser.new_page(viewport={"width": asked.width, "height": asked.height})
        page.set_default_timeout(WAIT)
        page.on("websocket", lambda line: line.on("framereceived", heard.take))
        begin = perf_counter()
        page.goto(address)
        page.get_by_role("tab", name="Task").wait_for()
        page.get_by_text("nothing to do yet").wait_for()
        shown = perf_counter() - begin
        found = {"shown_s": shown, **watch(page, heard, asked)}
        browser.close()
    return found


def line_of(found: dict[str, float]) -> str:
    """A measurement in a line."""
    return (
        f"shown after {found['shown_s']:.1f} s; in {found['seconds']:.0f} s {found['decisions_per_s']:.1f} decisions "
        f"and {found['pictures_per_s']:.1f} pictures per second, {found['other_messages_per_s']:.1f} other messages"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--recipe", default="breakfast")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speed", default="2 ×", help="as the page calls it")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--gpu", action="store_true", help="there is a graphics card")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("live", nargs="*", help="flags of mbtransfer live, after --")
    asked = parser.parse_args(argv)
    if not asked.chromium or not installed("playwright"):
        raise SystemExit("needs a browser: pip install playwright; apt-get install chromium")
    process, address = start(asked)
    try:
        found = measure(address, asked)
    except UserError as error:
        raise SystemExit(str(error)) from error
    finally:
        process.terminate()
        process.wait()
    print(line_of(found), flush=True)
    if asked.json:
        settings = {
            name: getattr(asked, name) for name in ("recipe", "seconds", "speed", "width", "height", "live")
        }
        write_json(asked.json, {"measured": found, "settings": settings})
    return 0


if __name__ == "__main__":
    sys.exit(main())
