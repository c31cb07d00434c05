"""`python -m benchmarks.figures --demo runs/demo [NAME ...]`: draw the figures of the concept pages again."""

import argparse
import sys
from pathlib import Path

from benchmarks.figures.learned import imagination, recipe, reward_heads
from benchmarks.figures.look import Demo, Draw, canvas
from benchmarks.figures.measured import adaptation, calibration, risk
from benchmarks.figures.room import one_model, planning, pool
from mbtransfer import UserError
from tasks.errors import TaskError
from world_models.errors import ModelError

FOLDER = Path(__file__).parents[2] / "docs" / "figures"
FIGURES: dict[str, tuple[Draw, tuple[float, float]]] = {
    "one-model": (one_model, (7.5, 3.6)),
    "pool": (pool, (8.5, 2.2)),
    "imagination": (imagination, (8.5, 2.8)),
    "reward-heads": (reward_heads, (7.0, 3.2)),
    "planning": (planning, (7.0, 4.6)),
    "recipe": (recipe, (8.0, 3.4)),
    "risk": (risk, (7.0, 3.2)),
    "calibration": (calibration, (7.0, 3.4)),
    "adaptation": (adaptation, (6.0, 3.0)),
}
"""Name to how it is drawn, and its size in inches."""


def main() -> int:
    """Draw; 0 if done, 2 with one line if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(FIGURES)} (all)")
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"), help="a finished demo (runs/demo)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the pictures (docs/figures)")
    asked = parser.parse_args()
    try:
        for name in asked.names or FIGURES:
            if name not in FIGURES:
                raise UserError(f"no figure {name!r}; there are {', '.join(FIGURES)}")
            draw, size = FIGURES[name]
            with canvas(asked.out / f"{name}.svg", size) as figure:
                draw(Demo(asked.demo), figure)
            print(asked.out / f"{name}.svg", flush=True)
    except (UserError, TaskError, ModelError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
