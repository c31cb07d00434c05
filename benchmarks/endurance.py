"""Does memory stay the same over many decisions? `python -m benchmarks.endurance [--decisions 100000]`.

Decisions of an agent in the kitchen, three episodes at once that change their number now and then, as in use.
"""

import argparse
import sys

import torch

from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.speed.planner import peak_memory_mb
from mbtransfer.speed.workload import Decisions, KitchenDecisions, Work

SETTLED = 0.02
"""Share of the decisions after which all memory that is needed has been found."""

ALLOWED = 1.0
"""MB by which the peak may still rise: the interpreter's own tables."""


def main() -> int:
    """Decide over and over; 0 if the peak of memory stood still, 1 if it rose."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000, help="how many (100000)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    works = [KitchenDecisions(2, 2), Decisions(Work("cem", candidates=16, horizon=3, hidden=16, episodes=3))]
    works += [Decisions(Work("icem", candidates=16, horizon=3, hidden=16))]
    console, settled = Terminal(), 0.0
    with progress_bar(console, "deciding", asked.decisions, "decisions") as advance:
        for number in range(asked.decisions):
            works[0 if number % 25 == 0 else 1 + number % 2]()
            advance(1)
            if number == int(SETTLED * asked.decisions):
                settled = peak_memory_mb("cpu")
    rose = peak_memory_mb("cpu") - settled
    line = f"{asked.decisions:,} decisions: peak {settled:.1f} MB after {SETTLED:.0%}, {rose:+.2f} MB until the end"
    console.print(line, highlight=False, soft_wrap=True)
    return int(rose > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
