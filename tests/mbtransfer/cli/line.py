"""Command lines, run as a user runs them, and the one line with which they refuse; not a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "mbtransfer"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def run(*argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, argv)], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **options
    )


def refused(*argv: str | Path, **options: Any) -> str:
    """The one line with which a command ends that cannot be done."""
    ended = run(*argv, **options)
    assert ended.returncode == 2, ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), ended.stderr
    assert not ended.stdout
    return lines[0]
