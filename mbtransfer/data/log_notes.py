"""Notes of imported logs beside a dataset: gaps, rates, what was left out. Nothing depends on them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbtransfer.runtime.files import write_json

FOLDER = "logs"


def keep_notes(dataset: Path, notes: Mapping[str, Any], digest: str) -> None:
    """Write DATA/logs/NAME-DIGEST.json; the same log again replaces its own notes.

    Raises:
        UserError: the folder cannot be written.
    """
    slug = re.sub(r"[^A-Za-z0-9]+", "-", str(notes["source"])).strip("-")[:60] or "log"
    (dataset / FOLDER).mkdir(exist_ok=True)
    write_json(dataset / FOLDER / f"{slug}-{digest[:8]}.json", dict(notes))


def read_notes(dataset: Path) -> list[dict[str, Any]]:
    """The notes of all logs that were imported; damaged ones are passed over."""
    found = []
    for path in sorted((dataset / FOLDER).glob("*.json")):
        try:
            notes = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(notes, dict) and "source" in notes:
            found.append(notes)
    return found
