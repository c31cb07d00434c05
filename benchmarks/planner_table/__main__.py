"""Which planner to choose: success, return and latency of each, at the same budgets.

    python -m benchmarks.planner_table [--models runs/kitchen/seed-0/model ...] [--json FILE] [--update-docs]

With `--json FILE` what is there is written after each cell; `--reuse FILE` goes on from it, and measures only
what it lacks. Latency wants a quiet machine, success does not mind:

    python -m benchmarks.planner_table --reuse FILE --latency --json FILE --update-docs
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from benchmarks.kitchen import put_between
from benchmarks.planner_table.dm_scene import SUITES
from benchmarks.planner_table.measure import Found, cells_of, measure
from benchmarks.planner_table.table import as_markdown, show
from benchmarks.planner_table.worlds import World, dm_control, kitchen
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.runtime.files import write_json
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal

PAGE = Path(__file__).parents[2] / "docs" / "planners.md"
NAMES = ("kitchen", *SUITES)
WIDTH = 112
"""Characters across that the tables need, where there is no terminal to say how many there are."""


def worlds_of(asked: argparse.Namespace) -> list[World]:
    """Those asked for.

    Raises:
        ModelError: a model cannot be read.
    """
    return [
        kitchen(asked.models, asked.episodes, asked.seeds)
        if name == "kitchen"
        else dm_control(name, asked.episodes, asked.seeds)
        for name in asked.only
    ]


def known(path: Path | None) -> Found:
    """What an earlier run has found.

    Raises:
        UserError: no such file, or not one of ours.
    """
    if path is None:
        return {"worlds": {}, "cells": {}}
    try:
        found: Found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not {"worlds", "cells"} <= found.keys():
        raise UserError(f"{path} was not written by --json of this command")
    return found


def run(asked: argparse.Namespace, console: Terminal) -> None:
    """Measure, show, and write where wanted; on one thread.

    Raises:
        UserError, ModelError: a file or model cannot be read or written.
    """
    found = known(asked.reuse)
    worlds = worlds_of(asked)
    total = sum(1 for world in worlds for _ in cells_of(world))
    torch.set_num_threads(1)
    with progress_bar(console, "measuring", total, "cells") as advance:

        def noted() -> None:
            advance(1)
            if asked.json is not None:
                write_json(asked.json, found)

        for world in worlds:
            measure(world, found, time_again=asked.latency, noted=noted)
    show(found, console)
    if asked.update_docs:
        put_between(PAGE, as_markdown(found))


def main() -> int:
    """0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planner_table", description="Compare planners."
    )
    default = [Path("runs/kitchen/seed-0/model")]
    parser.add_argument(
        "--models", type=Path, nargs="+", default=default, help=f"model folders ({default[0]})"
    )
    parser.add_argument("--episodes", type=int, default=2, help="of each task and chain, model and seed (2)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of episodes (0)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="where (everywhere)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--reuse", type=Path, help="file of an earlier --json: measure what it lacks")
    parser.add_argument(
        "--latency", action="store_true", help="measure latency again, even where it is known"
    )
    parser.add_argument("--update-docs", action="store_true", help="write the tables into docs/planners.md")
    try:
        run(parser.parse_args(), Terminal(width=None if sys.stdout.isatty() else WIDTH))
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
