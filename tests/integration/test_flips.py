"""No changed byte is taken for what was written: a bounded edition of `python -m benchmarks.flips`."""

from pathlib import Path

import pytest

from mbtransfer.runtime.terminal import Terminal

flips = pytest.importorskip("benchmarks.flips", reason="a wheel comes without benchmarks")


@pytest.mark.slow
def test_changed_bytes_are_refused_or_do_no_harm(tmp_path: Path) -> None:
    assert not flips.count(tmp_path, 420, 1, Terminal(quiet=True))
