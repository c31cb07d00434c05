"""Parser of the command line: typed settings, or one clear line of error."""

import ast
import contextlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional

from mbtransfer.config import COMMANDS, AtLeast, AtMost
from mbtransfer.errors import UserError
from tasks.spec import nearest


@dataclass(frozen=True)
class Flag:
    """One setting as it is written on the command line.

    Attributes:
        name: `--task-file`, or `DIR` where the place says what it is.
        kind: type of one value.
        choices: the values that it may have; empty where any will do.
        low: least value of a number.
        high: greatest value of a number.
        many: takes one value or more.
        optional: None may be written for "not given".
        required: has no default.
        positional: has no flag before it.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    low: int | float
    high: int | float
    many: bool
    optional: bool
    required: bool
    positional: bool


def parse(argv: Sequence[str]) -> Any:
    """The settings that a command line asks for: an instance of one of the classes in `COMMANDS`.

    Raises:
        UserError: an unknown command, flag or choice, or a value that is missing or wrong.
        SystemExit: help was asked for and has been printed.
    """
    name, rest = command_name(argv)
    settings = COMMANDS[name]
    rest = _plain({flag.name: flag for flag in flags(settings)}, rest)
    if not {"-h", "--help"} & set(rest):
        _check(f"mbtransfer {name}", {flag.name: flag for flag in flags(settings)}, rest)
    return _read(name, settings, rest)


def command_name(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The name of the command, of one word or two, and what follows it.

    `mbtransfer dataset DIR` is `mbtransfer dataset info DIR`.

    Raises:
        UserError: there is no such command.
    """
    if not argv:
        raise UserError(f"a command must be given; there are {', '.join(COMMANDS)}")
    first, second = argv[0], " ".join(argv[:2])
    if first.startswith("-"):
        raise UserError(f"no flag {first} before the command; see mbtransfer --help")
    if first in COMMANDS:
        return first, list(argv[1:])
    if second in COMMANDS:
        return second, list(argv[2:])
    group = [name for name in COMMANDS if name.startswith(f"{first} ")]
    if not group:
        raise UserError(f"no command {first!r}{nearest(first, [name.split()[0] for name in COMMANDS])}")
    close = get_close_matches(second, group, n=1, cutoff=0.8) if len(argv) > 1 else []
    if close and not Path(argv[1]).exists():
        raise UserError(f"no command {second!r}; did you mean {close[0]!r}?")
    if len(argv) == 1:
        raise UserError(f"{first} needs one more word: {', '.join(group)}; see mbtransfer {first} --help")
    return group[0], list(argv[1:])


def flags(settings: type) -> Iterator[Flag]:
    """Every flag of a command."""
    hints = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        hint, marks, many, optional = hints[field.name], list[Any](), False, False
        while (origin := get_origin(hint)) in (Annotated, Union, UnionType, tuple):
            parts = get_args(hint)
            if origin is Annotated:
                marks += parts[1:]
            many, optional = many or origin is tuple, optional or NoneType in parts
            hint = parts[0]
        positional = Positional in marks
        yield Flag(
            name=field.name.upper() if positional else "--" + field.name.replace("_", "-"),
            kind=str if origin is Literal else hint,
            choices=get_args(hint) if origin is Literal else (),
            low=max((mark.value for mark in marks if isinstance(mark, AtLeast)), default=-math.inf),
            high=min((mark.value for mark in marks if isinstance(mark, AtMost)), default=math.inf),
            many=many,
            optional=optional,
            required=field.default is MISSING and field.default_factory is MISSING,
            positional=positional,
        )


def _plain(known: dict[str, Flag], argv: list[str]) -> list[str]:
    """The words with values as W&B's agent writes them taken apart: `--flag=True`, `--many=[1, 2]`."""
    words: list[str] = []
    for token in argv:
        name, equals, value = token.partition("=")
        flag = (
            known.get("--" + name.removeprefix("--").replace("_", "-"))
            if equals and name.startswith("--")
            else None
        )
        if flag and flag.kind is bool and value.lower() in ("true", "false"):
            words.append(flag.name if value.lower() == "true" else flag.name.replace("--", "--no-", 1))
        elif flag and flag.many and isinstance(found := _literal(value), list | tuple) and found:
            words += [flag.name, *map(str, found)]
        else:
            words.append(token)
    return words


def _literal(text: str) -> Any:
    """The list that a text writes, as Python does; else the text."""
    try:
        return ast.literal_eval(text) if text[:1] in ("[", "(") else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _check(program: str, known: dict[str, Flag], argv: list[str]) -> None:
    """Refuse what the parser would refuse, in fewer words."""
    given: dict[str, list[str]] = {}
    for name, values in _grouped(program, known, argv):
        flag = known[name]
        if name in given:
            again = "give all its values at once" if flag.many else "give it once"
            raise UserError(f"{program}: {name} is given twice; {again}")
        given[name] = values
        _check_count(program, flag, values)
        for value in values:
            _check_value(program, flag, value)
    missing = [name for name, flag in known.items() if flag.required and name not in given]
    if missing:
        raise UserError(f"{program}: {' and '.join(missing)} must be given; see {program} --help")


def _grouped(program: str, known: dict[str, Flag], argv: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with the values that follow it; places come first."""
    places = [flag.name for flag in known.values() if flag.positional]
    i = 0
    while i < len(argv):
        token = argv[i]
        i += 1
        if not _is_flag(token):
            if not places:
                raise UserError(f"{program}: {token!r} follows no flag; see {program} --help")
            yield places.pop(0), [token]
            continue
        written, equals, value = token.partition("=")
        name = "--" + written.removeprefix("--").replace("_", "-") if written.startswith("--") else written
        flag = known.get(name) or known.get("--" + name.removeprefix("--no-"))
        if flag is None or flag.positional or (flag.name != name and flag.kind is not bool):
            names = [other.name for other in known.values() if not other.positional]
            raise UserError(f"{program}: no flag {written}{nearest(name, names)}")
        values = [value] if equals else []
        most = 0 if flag.kind is bool or equals else len(argv) if flag.many else 1
        while i < len(argv) and len(values) < most and not _is_flag(argv[i]):
            values.append(argv[i])
            i += 1
        yield flag.name, values


def _is_flag(token: str) -> bool:
    """Whether it is a flag: a dash and no number."""
    return bool(re.match(r"--|-[^\d.]", token))


def _check_count(program: str, flag: Flag, values: list[str]) -> None:
    if flag.kind is bool and values:
        no = flag.name.replace("--", "--no-", 1)
        raise UserError(f"{program}: {flag.name} takes no value; write {flag.name} or {no}")
    if flag.kind is not bool and not values:
        raise UserError(f"{program}: {flag.name} needs {'at least one' if flag.many else 'a'} value")


def _check_value(program: str, flag: Flag, value: str) -> None:
    if flag.optional and value == "None":
        return
    if not value.strip():
        raise UserError(f"{program}: {flag.name} is empty")
    if flag.choices and value not in flag.choices:
        raise UserError(f"{program}: {flag.name} cannot be {value!r}{nearest(value, list(flag.choices))}")
    if flag.kind in (int, float):
        _check_number(program, flag, value)


def _check_number(program: str, flag: Flag, value: str) -> None:
    try:
        number = flag.kind(value)
    except ValueError:
        wanted = "a whole number" if flag.kind is int else "a number"
        raise UserError(f"{program}: {flag.name} needs {wanted}, not {value!r}") from None
    if not math.isfinite(number) or not flag.low <= number <= flag.high:
        low, high = flag.low > -math.inf, flag.high < math.inf
        limits = [f"at least {flag.low:g}"] * low + [f"at most {flag.high:g}"] * high
        raise UserError(f"{program}: {flag.name} must be {' and '.join(limits) or 'finite'}, not {value}")


def _read(name: str, settings: type, argv: list[str]) -> Any:
    """Leave the reading to tyro; whatever it still finds wrong becomes one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(settings, prog=f"mbtransfer {name}", args=argv)
    except SystemExit as end:
        if end.code in (0, None):
            raise
    words = re.sub(r"[\u2500-\u257f]+", " ", said.getvalue())
    raise UserError(f"mbtransfer {name}: {' '.join(words.split())}")


def outputs(settings: Any) -> Iterator[tuple[str, Path]]:
    """The files and folders that a command is to write, each with its flag."""
    for name in ("out", "json", "rows", "video"):
        value = getattr(settings, name, None)
        if isinstance(value, Path):
            yield f"--{name}", value
