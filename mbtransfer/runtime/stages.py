"""Resumable stages: result and time of each are stored."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import plain, read_sealed, write_sealed
from mbtransfer.runtime.terminal import Terminal


class Stages:
    """Does stages in order and remembers what came of them.

    Args:
        folder: where results are kept.
        settings: what all results depend on; a folder of other settings is refused.
        console: where to say what is going on.

    Raises:
        UserError: the folder holds the results of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], console: Terminal) -> None:
        self._folder, self._console = folder, console
        known = folder / "settings.json"
        if before := read_sealed(known, f"remove {folder} to do its stages again", _is_older):
            for name, value in json.loads(json.dumps(settings)).items():
                if before.get(name) != value:
                    plain = not isinstance(value, dict | list)
                    was = f"{name} was {before.get(name)}, is {value}" if plain else f"another {name}"
                    raise UserError(
                        f"{folder.parent} holds results of other settings ({was}); give another --out"
                    )
        write_sealed(known, settings)
        self.seconds: dict[str, float] = {}

    def do(self, name: str, title: str, work: Callable[[], Any]) -> Any:
        """The result of a stage, done now or kept from before; it must be plain JSON."""
        kept = self._folder / f"{name}.json"
        if found := read_sealed(kept, "remove it to do the stage again", _is_older_result):
            self.seconds[name] = found["seconds"]
            self._console.say(f"{title}: kept from before", style="dim")
            return found["result"]
        self._console.say(title, style="bold")
        began = monotonic()
        result = work()
        self.seconds[name] = monotonic() - began
        write_sealed(kept, {"result": result, "seconds": self.seconds[name]})
        return json.loads(json.dumps(plain(result)))


def _is_older(settings: Mapping[str, Any]) -> bool:
    """Whether these can be settings from before there were checksums; they are compared name by name."""
    return True


def _is_older_result(content: Mapping[str, Any]) -> bool:
    return content.keys() == {"result", "seconds"}
