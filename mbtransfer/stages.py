"""Stages of a long job: each one's result and time are kept, so that a rerun goes on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from mbtransfer.atomic import write_json
from mbtransfer.errors import UserError


class Stages:
    """Does stages in order and remembers what came of them.

    Args:
        folder: where results are kept.
        settings: what all results depend on; a folder of other settings is refused.
        console: where to say what is going on.

    Raises:
        UserError: the folder holds the results of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], console: Console) -> None:
        self._folder, self._console = folder, console
        known = folder / "settings.json"
        if known.is_file():
            before = json.loads(known.read_text(encoding="utf-8"))
            for name, value in json.loads(json.dumps(settings)).items():
                if before.get(name) != value:
                    plain = not isinstance(value, dict | list)
                    was = f"{name} was {before.get(name)}, is {value}" if plain else f"another {name}"
                    raise UserError(
                        f"{folder.parent} holds results of other settings ({was}); give another --out"
                    )
        write_json(known, settings)
        self.seconds: dict[str, float] = {}

    def do(self, name: str, title: str, work: Callable[[], Any]) -> Any:
        """The result of a stage, done now or kept from before; it must be plain JSON."""
        kept = self._folder / f"{name}.json"
        if kept.is_file():
            found = json.loads(kept.read_text(encoding="utf-8"))
            self.seconds[name] = found["seconds"]
            self._console.print(f"[dim]{title}: kept from before[/]")
            return found["result"]
        self._console.print(f"[bold]{title}[/]")
        began = monotonic()
        result = work()
        self.seconds[name] = monotonic() - began
        write_json(kept, {"result": result, "seconds": self.seconds[name]})
        return json.loads(kept.read_text(encoding="utf-8"))["result"]
