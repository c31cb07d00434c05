"""Settings of a planner as they are written on the command line."""

from collections.abc import Sequence

from mbtransfer.errors import UserError


def parse_settings(settings: Sequence[str]) -> dict[str, int | float]:
    """NAME=VALUE pairs.

    Raises:
        UserError: not of that form.
    """
    found: dict[str, int | float] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(f"--settings {text!r} is not NAME=NUMBER, such as knots=4")
    return found
