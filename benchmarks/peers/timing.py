"""Time decisions in turns: whatever else the machine does slows all entries alike."""

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work


def seconds_per_decision(entries: list[Entry], work: Work, seconds: float) -> dict[str, NDArray[np.float64]]:
    """Duration of one decision of each entry in each round.

    A round is one decision by everyone, begun by another entry each time, so that nobody is always first
    after the slowest. The first round only warms up.

    Args:
        entries: who takes part.
        work: what they decide about, always from its start.
        seconds: how long to go on, for each entry on average.
    """
    taken: dict[str, list[float]] = {entry.name: [] for entry in entries}
    begin, number = perf_counter(), 0
    while number < 2 or perf_counter() - begin < seconds * len(entries):
        turn = number % len(entries)
        for entry in entries[turn:] + entries[:turn]:
            start = perf_counter()
            entry.decide(work.start)
            taken[entry.name].append(perf_counter() - start)
        number += 1
    return {name: np.array(durations[1:]) for name, durations in taken.items()}
