"""Sweeps over a command that needs milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

PROGRAM = """
import json, os, sys, time
from pathlib import Path
asked = dict(word.removeprefix("--").split("=") for word in sys.argv[1:])
folder = Path(os.environ["MBTRANSFER_TRIAL"])
with (folder / "began").open("a") as file:
    file.write("x")
time.sleep(float(os.environ.get("TRIAL_SECONDS", 0)))
loss = (float(asked["a"]) - 0.3) ** 2
with (folder / "history.jsonl").open("a") as file:
    for epoch in range(1, 4):
        file.write(json.dumps({"epoch": epoch, "loss": loss + 1 / epoch}) + "\\n")
        file.flush()
        time.sleep(float(os.environ.get("EPOCH_SECONDS", 0)) * float(asked["a"]))
if "FAIL" in os.environ:
    sys.exit("the disk is on fire")
(folder / "summary.json").write_text(json.dumps({"loss": loss, "word": asked["word"]}))
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(method=..., ...)`: a sweep file, with the parts that are given."""

    def written(**parts: Any) -> Path:
        (tmp_path / "program.py").write_text(PROGRAM)
        content = {
            "program": str(tmp_path / "program.py"), "method": "grid",
            "metric": {"name": "loss", "goal": "minimize"},
            "parameters": {"a": {"values": [0.1, 0.3, 0.9]}, "word": {"value": "tea"}},
            "command": ["${env}", "${interpreter}", "${program}", "${args}"],
        }  # fmt: skip
        path = tmp_path / "file.yaml"
        known = {name: part for name, part in (content | parts).items() if part is not None}
        path.write_text(yaml.safe_dump(known))
        return path

    return written
