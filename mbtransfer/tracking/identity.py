"""Which run of the tracker an output belongs to: a command that is run again after a crash continues its run.

Nothing here stops a command: a file that cannot be read or written makes a new run.
"""

import json
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from mbtransfer.atomic import write_json
from mbtransfer.errors import UserError

FILE = "tracking.json"


class Identity:
    """The run's id, kept beside what the command writes until the command has ended well.

    Args:
        beside: folder or file that the command writes; None: nothing is kept, and each run is new.
        command: several commands may write to one folder.
    """

    def __init__(self, beside: Path | None, command: str) -> None:
        self._command = command
        self._file = None if beside is None else _file(beside)

    def claim(self) -> str:
        """The id of the run that did not end, or a new one, which is kept."""
        kept = self._read()
        known = kept.get(self._command)
        if isinstance(known, dict) and known.get("ended") is False and isinstance(known.get("id"), str):
            return str(known["id"])
        new = {"id": secrets.token_hex(4), "ended": False}
        self._write(kept | {self._command: new})
        return str(new["id"])

    def release(self) -> None:
        """The command has ended well: the next one is another run."""
        kept = self._read()
        known = kept.get(self._command)
        if isinstance(known, dict):
            self._write(kept | {self._command: known | {"ended": True}})

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file else {}
            return kept if isinstance(kept, dict) else {}
        return {}

    def _write(self, kept: dict[str, Any]) -> None:
        if self._file is not None:
            with suppress(UserError):
                write_json(self._file, kept)


def _file(beside: Path) -> Path:
    """`DIR/tracking.json`; of a file `rows.csv` it is `rows.tracking.json`."""
    return beside.with_suffix(f".{FILE}") if beside.suffix else beside / FILE
