"""Validation of what users write: typed settings, or one clear line of error."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mbtransfer.errors import UserError
from tasks.spec import nearest

T = TypeVar("T")

WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a word",
    "tuple": "a list",
    "dict": "names and values",
}
"""What a value must be, by the first part of pydantic's name for the error."""


KEY = "[key]"
"""Pydantic's mark of an error in the name, not in its value."""


def validated(
    kind: type[T], values: Mapping[str, Any], *, about: str = "", names: Mapping[str, str] | None = None
) -> T:
    """An instance of a dataclass, its values converted and checked.

    Args:
        kind: what to make.
        values: by the name of the field.
        about: what the message begins with.
        names: what users call a field, where that is another name.

    Raises:
        UserError: an unknown name, or a value that is missing or wrong.
    """
    known = [field.name for field in fields(kind)] if is_dataclass(kind) else list(values)
    for name in values:
        if name not in known:
            raise UserError(f"{about}unknown entry {name!r}{nearest(str(name), known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        raise UserError(about + problems(error, names or {})[0]) from error


def problems(
    error: ValidationError, names: Mapping[str, str] | None = None, unseen: Sequence[str] = ()
) -> list[str]:
    """Everything that is wrong, a line each: where, and what.

    Args:
        error: pydantic's.
        names: what users call a field, where that is another name.
        unseen: parts of a place that users never wrote.
    """
    lines = []
    for one in error.errors():
        place = [str(part) for part in one["loc"] if isinstance(part, str) and part not in unseen]
        where = ".".join([(names or {}).get(part, part) for part in place if part != KEY])
        where = f"a name in {where}" if KEY in place else where
        lines.append(f"{where}{_what(dict(one), ' ' if where else '')}")
    return lines


def _what(one: Mapping[str, Any], space: str) -> str:
    """What is wrong with one value, to stand behind its name."""
    kind, given, limits = str(one["type"]), one["input"], one.get("ctx", {})
    if kind == "missing":
        return f"{space}must be given"
    if kind == "literal_error":
        choices = [word.strip("' ") for word in str(limits["expected"]).replace(" or ", ", ").split(",")]
        return f"{space}cannot be {given!r}{nearest(str(given), choices)}"
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = f"at least {limits['ge']:g}" if "ge" in limits else f"at most {limits['le']:g}"
        return f"{space}must be {limit}, not {given}"
    if kind == "finite_number":
        return f"{space}must be finite, not {given}"
    if kind == "extra_forbidden":
        return f"{space}is unknown here"
    if wanted := WANTED.get(kind.partition("_")[0]):
        return f"{space}needs {wanted}, not {given!r}"
    text = " ".join(str(one["msg"]).removeprefix("Value error, ").split())
    if text.startswith("Input should be "):
        return f"{space}must be {text.removeprefix('Input should be ')}, not {given!r}"
    return f"{':' if space else ''}{space}{text}"
