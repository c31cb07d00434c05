"""Reader of YAML as plain values, with errors by file, line and column.

Only PyYAML's scanner and composer are used, never a constructor: a recipe holds mappings, lists, texts and
numbers, so it cannot run code. Anchors, aliases, tags, deep nesting and second documents are refused first.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from tasks.errors import TaskError

MAX_DEPTH = 8
MAX_NODES = 2_000


def one_line(text: str, limit: int = 1_000) -> str:
    """`text` with all white space and control characters as single spaces, cut at `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def quoted(value: str) -> str:
    """A user's text as it may stand in a one-line message."""
    return f"'{one_line(value, 60)}'"


class NodeReader:
    """The nodes of one YAML source.

    Args:
        source: The file's name as messages show it.
        what: What such a file holds, in messages.
        needs: The keys that it must have, in messages.
    """

    def __init__(self, source: str, what: str = "recipe", needs: str = "'name' and 'steps'") -> None:
        self.source, self._what, self._needs = one_line(source), what, needs

    def fail(self, where: yaml.Node | yaml.Event | yaml.Mark | None, message: str) -> NoReturn:
        """Raises TaskError `source:line:column: message` for a node, event or mark; None is the start."""
        mark = where.start_mark if isinstance(where, yaml.Node | yaml.Event) else where
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise TaskError(f"{self.source}:{line + 1}:{column + 1}: {one_line(message)}")

    def compose(self, text: str) -> yaml.Node:
        """The root node of `text`.

        Raises:
            TaskError: If the text is not YAML, is empty, or uses what recipes may not (see the module).
        """
        try:
            self._check_events(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            shown = f"character {error.character:#x}" if isinstance(error.character, int) else "a character"
            before = text[: error.position]
            line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
            self.fail(yaml.Mark("", 0, line, column, None, 0), f"{shown} may not stand in YAML; remove it")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.fail(mark, f"not valid YAML: {error.problem or error.context}")
        if root is None:
            self.fail(None, f"the {self._what} is empty; it needs {self._needs}")
        return root

    def _check_events(self, text: str) -> None:
        depth = nodes = documents = 0
        recipe = self._what == "recipe"
        whole, flat = ("the step", "a recipe is a list of steps") if recipe else ("it", "write less")
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                self.fail(event, f"anchors (&) and aliases (*) are not allowed; write {whole} out")
            if tag := getattr(event, "tag", None):
                self.fail(event, f"tags such as {quoted(tag)} are not allowed; remove it")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if depth > MAX_DEPTH:
                self.fail(event, f"nested more than {MAX_DEPTH} deep; {flat}")
            if nodes > MAX_NODES:
                self.fail(event, f"more than {MAX_NODES} values; split the {self._what}")
            if documents > 1:
                self.fail(event, f"a second document starts here ('---'); one file holds one {self._what}")

    def values(self, node: yaml.Node) -> Any:
        """A node as dicts, lists and texts; nothing is None, a text in quotes is `Quoted`.

        Raises:
            TaskError: If a key is no text, or is there twice.
        """
        if isinstance(node, yaml.SequenceNode):
            return [self.values(item) for item in node.value]
        if isinstance(node, yaml.ScalarNode):
            plain = node.style is None
            nothing = plain and node.value.lower() in ("", "~", "null")
            return None if nothing else node.value if plain else Quoted(node.value)
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, f"a key must be a text, not {kind(self.values(key))}")
            if key.value in found:
                first = find(node, [key.value]).start_mark.line + 1
                self.fail(key, f"key {quoted(key.value)} twice (first on line {first}); keep one")
            found[key.value] = self.values(value)
        return found


class Quoted(str):
    """A text that stood in quotes: it is no number and no flag."""


def find(node: yaml.Node, place: Iterable[str | int]) -> yaml.Node:
    """The key or list item at a place below a node, followed as far as it goes."""
    found = node
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            pairs = (pair for pair in node.value if pair[0].value == part)
            found, node = next(pairs, (found, node))
    return found


def kind(value: object) -> str:
    """What a value is, in words for a message."""
    if isinstance(value, dict):
        return "'key: value' lines"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    return f"the text in quotes {quoted(value)}" if isinstance(value, Quoted) else quoted(str(value))


MAX_BYTES = 64 * 1024


def read_source(
    path: Path, give: str = "a recipe file (.yaml) or the name of a shipped recipe", what: str = "recipe"
) -> str:
    """The text of a recipe file, or of a file of another kind.

    Args:
        give: What the user should give instead of a missing file, in messages.
        what: What such a file holds, in messages.
        path: A regular file of at most `MAX_BYTES` bytes, UTF-8, with or without a byte order mark.

    Raises:
        TaskError: If the file is missing, is no regular file, cannot be read, is too large or is not UTF-8.
    """
    shown = one_line(str(path))
    try:
        # A named pipe or a device would block or never end: only regular files are opened.
        if not path.is_file():
            state = "is not a file" if path.exists() else "does not exist"
            raise TaskError(f"{shown}:1: {state}; give {give}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = one_line(error.strerror or str(error))
        raise TaskError(f"{shown}:1: cannot be read ({reason}); give a readable {what} file") from error
    return decode(data, shown, what)


def decode(data: bytes, shown: str, what: str = "recipe") -> str:
    """`data` as text.

    Raises:
        TaskError: If there are more than `MAX_BYTES` bytes, or a byte is not UTF-8 (with its line).
    """
    if len(data) > MAX_BYTES:
        raise TaskError(f"{shown}:1: larger than {MAX_BYTES // 1024} KiB; a {what} is a short text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskError(f"{shown}:{line}: not UTF-8; save it as UTF-8") from error
