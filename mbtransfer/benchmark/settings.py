"""Settings of a protocol become those of a command by the road that a command line takes: checked in the same words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mbtransfer.arguments import parse
from mbtransfer.errors import UserError

NEEDED: Mapping[str, Mapping[str, object]] = {
    "collect": {"out": Path("x")},
    "fit": {"data": Path("x"), "out": Path("x")},
    "prepare": {"model": Path("x")},
    "evaluate": {"model": Path("x")},
}
"""What a protocol never says, because it follows from the folder; here to check the rest alone."""


def configured(command: str, *settings: Mapping[str, Any]) -> Any:
    """The settings of a command, later ones first.

    Args:
        command: its name.
        settings: values by the name of their flag, as YAML has them.

    Raises:
        UserError: no such flag, or a value that it cannot have.
    """
    merged = {name: value for some in settings for name, value in some.items()}
    return parse([command, *(word for name, value in merged.items() for word in _words(name, value))])


def _words(name: str, value: object) -> Iterator[str]:
    flag = "--" + str(name).replace("_", "-")
    if value is True or value is False:
        yield flag if value else flag.replace("--", "--no-", 1)
        return
    values = value if isinstance(value, list | tuple) else [value]
    if not values and not isinstance(value, list):
        return  # nothing is asked for
    for one in values:
        if not isinstance(one, str | int | float | Path) or isinstance(one, bool):
            raise UserError(f"{flag} needs a word or a number, not {one!r}")
    yield flag
    yield from map(str, values)
