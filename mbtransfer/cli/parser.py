"""Parser of the command line: typed settings, or one clear line of error."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional

from mbtransfer.config import COMMANDS
from mbtransfer.errors import UserError
from mbtransfer.validation import validated
from tasks.spec import nearest


@dataclass(frozen=True)
class Flag:
    """One setting as written on the command line.

    Attributes:
        field: name of the setting.
        name: `--task-file`, or `DIR` for a positional argument.
        switch: takes no value: `--video` or `--no-video`.
        many: takes one or more values.
        optional: accepts None for "not given".
        required: has no default.
        positional: is written without a flag.
    """

    field: str
    name: str
    switch: bool
    many: bool
    optional: bool
    required: bool
    positional: bool


def parse(argv: Sequence[str]) -> Any:
    """Parse a command line into its settings: an instance of one of the classes in `COMMANDS`.

    Raises:
        UserError: an unknown command, flag or choice, or a missing or wrong value.
        SystemExit: help was requested and has been printed.
    """
    name, rest = command_name(argv)
    settings, program = COMMANDS[name], f"mbtransfer {name}"
    if {"-h", "--help"} & set(rest):
        tyro.cli(settings, prog=program, args=["--help"])
    known = {flag.field: flag for flag in flags(settings)}
    given = _values(program, known, rest)
    missing = [flag.name for field, flag in known.items() if flag.required and field not in given]
    if missing:
        raise UserError(f"{program}: {' and '.join(missing)} must be given; see {program} --help")
    names = {field: flag.name for field, flag in known.items()}
    return validated(settings, given, about=f"{program}: ", names=names)


def command_name(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into the command's name, of one or two words, and the remaining arguments.

    `mbtransfer dataset DIR` is short for `mbtransfer dataset info DIR`.

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
    """Yield every flag of a command."""
    hints = get_type_hints(settings)
    marked = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        kinds = [hints[field.name], *get_args(hints[field.name])]
        positional = Positional in get_args(marked[field.name])
        yield Flag(
            field=field.name,
            name=field.name.upper() if positional else "--" + field.name.replace("_", "-"),
            switch=bool in kinds,
            many=any(get_origin(kind) is tuple for kind in kinds),
            optional=NoneType in kinds,
            required=field.default is MISSING and field.default_factory is MISSING,
            positional=positional,
        )


def _values(program: str, known: dict[str, Flag], argv: Sequence[str]) -> dict[str, Any]:
    """The given value of each setting, as written."""
    places = [flag for flag in known.values() if flag.positional]
    given: dict[str, Any] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if _is_flag(word):
            written, equals, value = word.partition("=")
            flag, no = _find(program, known, written)
        elif places:
            flag, no, equals, value = places.pop(0), False, "=", word
        else:
            raise UserError(f"{program}: {word!r} follows no flag; see {program} --help")
        if flag.field in given:
            again = "give all its values at once" if flag.many else "give it once"
            raise UserError(f"{program}: {flag.name} is given twice; {again}")
        if flag.switch:
            given[flag.field] = not no if not equals else _switched(program, flag, value)
            continue
        own = _listed(value) if equals and flag.many else [value] if equals else []
        while words and not equals and not _is_flag(words[0]) and (flag.many or not own):
            own.append(words.pop(0))
        if not own:
            raise UserError(f"{program}: {flag.name} needs {'at least one' if flag.many else 'a'} value")
        if not all(one.strip() for one in own):
            raise UserError(f"{program}: {flag.name} is empty")
        none = flag.optional and own == ["None"]
        given[flag.field] = None if none else tuple(own) if flag.many else own[0]
    return given


def _find(program: str, known: dict[str, Flag], written: str) -> tuple[Flag, bool]:
    """The flag, and whether it is written with `--no-`."""
    name = "--" + written.removeprefix("--").replace("_", "-") if written.startswith("--") else written
    named = {flag.name: flag for flag in known.values() if not flag.positional}
    if name in named:
        return named[name], False
    switch = named.get(name.replace("--no-", "--", 1))
    if switch is None or not switch.switch:
        raise UserError(f"{program}: no flag {written}{nearest(name, list(named))}")
    return switch, True


def _is_flag(token: str) -> bool:
    """Whether a word is a flag: it starts with a dash and is not a number."""
    return bool(re.match(r"--|-[^\d.]", token))


def _switched(program: str, flag: Flag, value: str) -> bool:
    """Parse `--flag=True`, as W&B's agent writes it."""
    if value.lower() not in ("true", "false"):
        no = flag.name.replace("--", "--no-", 1)
        raise UserError(f"{program}: {flag.name} takes no value; write {flag.name} or {no}")
    return value.lower() == "true"


def _listed(text: str) -> list[str]:
    """Parse `--many=[1, 2]`, as W&B's agent writes it; any other text is a single value."""
    try:
        found = ast.literal_eval(text) if text[:1] in ("[", "(") else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    return [str(one) for one in found] if isinstance(found, list | tuple) and found else [text]


def outputs(settings: Any) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that a command will write, each with its flag."""
    for name in ("out", "json", "rows", "video"):
        value = getattr(settings, name, None)
        if isinstance(value, Path):
            yield f"--{name}", value
