"""`kill -9` at a random instant of each command: a bounded edition of `python -m benchmarks.faults`."""

import random
from pathlib import Path

import pytest

from mbtransfer.runtime.terminal import Terminal

faults = pytest.importorskip("benchmarks.faults", reason="a wheel comes without benchmarks")


@pytest.mark.slow
def test_nothing_is_lost_and_the_outcome_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    faults.make_inputs(tmp_path)
    known = faults.commands(tmp_path)
    assert set(known) == {"collect", "fit", "adapt", "evaluate", "sweep"}
    for name, (line, same) in known.items():
        assert faults.survived(line, same, tmp_path, name, 1, Terminal(quiet=True)) == 1, name


def test_a_command_that_fails_is_no_survivor() -> None:
    with pytest.raises(SystemExit, match="ended with 2"):
        faults.run(["fit", "--data", "nowhere", "--out", "nothing"], None, random.Random(0))
