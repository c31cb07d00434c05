"""Typed reader of YAML nodes with errors by file and line.

Only PyYAML's scanner and composer are used, never a constructor: a recipe holds mappings, lists, texts and
numbers, so it cannot run code. Anchors, aliases, tags, deep nesting and second documents are refused first.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import yaml

from tasks.errors import TaskError
from tasks.spec import nearest

MAX_DEPTH = 8
MAX_NODES = 2_000
MAX_TEXT = 1_000
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def one_line(text: str, limit: int = 1_000) -> str:
    """`text` with all white space and control characters as single spaces, cut at `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def quoted(value: str) -> str:
    """A user's text as it may stand in a one-line message."""
    return f"'{one_line(value, 60)}'"


class NodeReader:
    """Typed access to the nodes of one YAML source.

    Args:
        source: The file's name as messages show it.
    """

    def __init__(self, source: str) -> None:
        self.source = one_line(source)

    def fail(self, where: yaml.Node | yaml.Event | yaml.Mark | int | None, message: str) -> NoReturn:
        """Raises TaskError `source:line: message` for a node, mark or line number."""
        mark = getattr(where, "start_mark", where)
        line = mark if isinstance(mark, int) else getattr(mark, "line", 0) + 1
        raise TaskError(f"{self.source}:{line}: {one_line(message)}")

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
            self.fail(text.count("\n", 0, error.position) + 1, f"{shown} may not stand in YAML; remove it")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.fail(mark, f"not valid YAML: {error.problem or error.context}")
        if root is None:
            self.fail(1, "the recipe is empty; it needs 'name' and 'steps'")
        return root

    def _check_events(self, text: str) -> None:
        depth = nodes = documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                self.fail(event, "anchors (&) and aliases (*) are not allowed; write the step out")
            if tag := getattr(event, "tag", None):
                self.fail(event, f"tags such as {quoted(tag)} are not allowed; remove it")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            if depth > MAX_DEPTH:
                self.fail(event, f"nested more than {MAX_DEPTH} deep; a recipe is a list of steps")
            if nodes > MAX_NODES:
                self.fail(event, f"more than {MAX_NODES} values; split the recipe")
            if documents > 1:
                self.fail(event, "a second document starts here ('---'); one file holds one recipe")

    def mapping(
        self, node: yaml.Node, what: str, keys: Collection[str]
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key to (key node, value node) of a mapping whose keys are all among `keys`, each once."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} must be 'key: value' lines, not {kind(node)}; keys: {', '.join(keys)}")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key in found:
                first = found[key][0].start_mark.line + 1
                self.fail(key_node, f"{what} has the key '{key}' twice (first on line {first}); keep one")
            if key not in keys:
                shown = quoted(key) if key else kind(key_node)
                self.fail(key_node, f"{what} has no key {shown}{nearest(key[:60], list(keys))}")
            found[key] = (key_node, value_node)
        return found

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list that is not empty."""
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} must be a list ('- ...' lines), not {kind(node)}")
        if not node.value:
            self.fail(node, f"{what} is an empty list; it needs at least one step")
        return list(node.value)

    def text(self, node: yaml.Node, what: str, limit: int = MAX_TEXT) -> str:
        """A text on one line, not empty, of at most `limit` characters."""
        if not isinstance(node, yaml.ScalarNode) or _is_null(node):
            self.fail(node, f"{what} must be a text, not {kind(node)}")
        value = one_line(node.value, MAX_TEXT + 1)
        if not value or len(value) > limit:
            self.fail(node, f"{what} must have 1 to {limit} characters")
        return value

    def whole(self, node: yaml.Node, what: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        if not _is_plain(node) or not _WHOLE.fullmatch(node.value):
            self.fail(node, f"{what} must be a whole number from {low} to {high}, not {kind(node)}")
        value = int(node.value)
        if not low <= value <= high:
            self.fail(node, f"{what} is {value}; it must be from {low} to {high}")
        return value

    def number(self, node: yaml.Node, what: str) -> float:
        """A finite number."""
        if not _is_plain(node) or not _NUMBER.fullmatch(node.value):
            self.fail(node, f"{what} must be a finite number such as 0.35, not {kind(node)}")
        value = float(node.value)
        if abs(value) == float("inf"):
            self.fail(node, f"{what} must be a finite number, not {quoted(node.value)}")
        return value

    def flag(self, node: yaml.Node, what: str) -> bool:
        """True or false."""
        if not _is_plain(node) or node.value.lower() not in _FLAGS:
            self.fail(node, f"{what} must be true or false, not {kind(node)}")
        return _FLAGS[node.value.lower()]


def kind(node: yaml.Node) -> str:
    """What a node is, in words for a message."""
    if isinstance(node, yaml.MappingNode):
        return "'key: value' lines"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if _is_null(node):
        return "nothing"
    return quoted(node.value) if _is_plain(node) else f"the text in quotes {quoted(node.value)}"


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None


def _is_null(node: yaml.Node) -> bool:
    return _is_plain(node) and node.value.lower() in ("", "~", "null")


MAX_BYTES = 64 * 1024


def read_source(path: Path) -> str:
    """The text of a recipe file.

    Args:
        path: A regular file of at most `MAX_BYTES` bytes, UTF-8, with or without a byte order mark.

    Raises:
        TaskError: If the file is missing, is no regular file, cannot be read, is too large or is not UTF-8.
    """
    shown = one_line(str(path))
    try:
        # A named pipe or a device would block or never end: only regular files are opened.
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise TaskError(f"{shown}:1: {what}; give a recipe file (.yaml) or the name of a shipped recipe")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = one_line(error.strerror or str(error))
        raise TaskError(f"{shown}:1: cannot be read ({reason}); give a readable recipe file") from error
    return decode(data, shown)


def decode(data: bytes, shown: str) -> str:
    """`data` as text.

    Raises:
        TaskError: If there are more than `MAX_BYTES` bytes, or a byte is not UTF-8 (with its line).
    """
    if len(data) > MAX_BYTES:
        raise TaskError(f"{shown}:1: larger than {MAX_BYTES // 1024} KiB; a recipe is a short text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskError(f"{shown}:{line}: not UTF-8; save it as UTF-8") from error
