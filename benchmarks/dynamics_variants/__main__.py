"""Measure, show, and write if asked to; see the package."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.dynamics_variants.knowledge import Knowledge, Settings
from benchmarks.dynamics_variants.measure import PLANNERS, measure
from benchmarks.dynamics_variants.table import as_markdown
from benchmarks.dynamics_variants.world import World
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from tasks.errors import TaskError
from tasks.hidden_parameters import FACTORS, Ranges
from world_models.identification.fit import IdentificationConfig


def parse_ranges(parts: Sequence[str], low: float, high: float, delay: int) -> Ranges:
    """Ranges of `mass` or `mass:cart`, all from `low` to `high`.

    Raises:
        TaskError: no such kind of parameter, or one that is given twice.
    """
    given: dict[str, Any] = {}
    for text in parts:
        what, colon, part = text.partition(":")
        if what not in FACTORS or (colon and not part):
            raise TaskError(
                f"no parameter {text!r}; there are {', '.join(FACTORS)}, or one with a part as in mass:cart"
            )
        if what in given and (not colon or not isinstance(given[what], dict) or part in given[what]):
            raise TaskError(f"parameter {text!r} is given twice, or both with and without a part")
        given[what] = {**given.get(what, {}), part: (low, high)} if colon else (low, high)
    return Ranges(**given, delay=(0, delay))


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dynamics_variants", description="Plan where dynamics differ from episode to episode."
    )  # fmt: skip
    parser.add_argument("--env", default="dm_control:cartpole", help="environment (dm_control:cartpole)")
    parser.add_argument("--task", default="swingup", help="its task (swingup)")
    parser.add_argument(
        "--parameters",
        nargs="+",
        default=["mass", "friction", "damping"],
        help="what differs (mass friction damping)",
    )
    parser.add_argument(
        "--range", type=float, nargs=2, default=[0.4, 2.5], help="lowest and highest factor (0.4 2.5)"
    )
    parser.add_argument("--delay", type=int, default=0, help="longest delay in control steps (0)")
    parser.add_argument(
        "--factors", type=float, nargs="+", default=[0.5, 2.0], help="of the first table (0.5 2)"
    )
    parser.add_argument("--planners", nargs="+", default=list(PLANNERS), choices=PLANNERS, help="all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of data, models and episodes (0)")
    for name, words in (
        ("noise", "episodes of the pool by random actions"), ("planned", "episodes of the pool by planning"),
        ("pool-steps", "control steps of those by random actions"), ("steps", "control steps of tested episodes"),
        ("warm", "random steps before an episode begins"), ("hidden", "units of a layer of the dynamics"),
        ("epochs", "of the dynamics"), ("episodes", "in each variant of the first table"),
        ("variants", "drawn for the other tables"), ("draws", "parameters under which cvar follows a plan"),
    ):  # fmt: skip
        default = getattr(Settings(), name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{words} ({default})")
    parser.add_argument("--updates", type=int, default=IdentificationConfig().updates, help="of the encoder")
    parser.add_argument(
        "--tail", type=float, default=Settings().tail, help="share of futures that cvar counts"
    )
    parser.add_argument(
        "--beyond",
        type=float,
        default=1.0,
        help="how many times as wide the ranges of drawn variants are (1)",
    )
    parser.add_argument("--horizon", type=int, help="control steps that plans look ahead")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    counts = {name: getattr(asked, name) for name in vars(Settings()) if hasattr(asked, name)}
    if (
        min(
            asked.noise,
            asked.steps,
            asked.pool_steps,
            asked.episodes,
            asked.variants,
            asked.draws,
            asked.updates,
        )
        < 1
    ):
        parser.error(
            "--noise, --steps, --pool-steps, --episodes, --variants, --draws and --updates need at least 1"
        )
    settings = Settings(
        **counts, identification=IdentificationConfig(asked.updates, window=asked.pool_steps),
        planner={"horizon": asked.horizon} if asked.horizon else {},
    )  # fmt: skip
    began = process_time()

    def note(text: str) -> None:
        print(f"{process_time() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    try:
        world = World.of(asked.env, asked.task, parse_ranges(asked.parameters, *asked.range, asked.delay))
    except TaskError as error:
        parser.error(str(error))
    runs = []
    with threads(1):
        for seed in asked.seeds:
            known = Knowledge.of(world, settings, seed, note)
            runs.append(measure(known, asked.planners, asked.factors, seed, note))
    print(as_markdown(runs))
    if asked.json:
        write_json(asked.json, {"env": asked.env, "task": asked.task, "seeds": asked.seeds, "runs": runs})


if __name__ == "__main__":
    main()
