"""Bounded YAML reader for protocols and sweeps."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mbtransfer.errors import UserError

MOST_BYTES = 1 << 20
MOST_DEPTH = 32
MOST_VALUES = 20_000
"""Of values, each alias (*) counted as all that it stands for."""

BOOL = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; a key that is there twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[object, int] = {}
        for key, _ in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is there twice (first on line {lines[name]})",
                    problem_mark=key.start_mark,
                )
            lines[name] = line
        return super().construct_mapping(node, deep)


class _PlainWords(_Loader):
    """Only `true` and `false` are booleans (YAML 1.2): `on`, `off`, `yes` and `no` are names like any other."""


_PlainWords.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != BOOL or first in "tTfF"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path, *, words_as_booleans: bool = False) -> Any:
    """What a YAML file holds.

    Args:
        path: UTF-8, with or without a byte order mark.
        words_as_booleans: take `on`, `off`, `yes` and `no` for booleans, as YAML 1.1 does.

    Raises:
        UserError: it cannot be read, is not YAML, too large, nested too deep, or has a key twice; with its line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1) if path.is_file() else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if data is None:
        raise UserError(f"cannot read {path}: it is no regular file")
    if len(data) > MOST_BYTES:
        raise UserError(f"cannot read {path}: it is larger than {MOST_BYTES >> 20} MiB")
    loader: yaml.SafeLoader | None = None
    try:
        loader = (_Loader if words_as_booleans else _PlainWords)(data.decode("utf-8-sig"))
        _check_depth(data.decode("utf-8-sig"))
        root = loader.get_single_node()
        if root is not None:
            _count(root, {})
        return None if root is None else loader.construct_document(root)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{path}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from error
    except (
        yaml.YAMLError,
        ValueError,
        OverflowError,
    ) as error:  # ValueError: a date or number that cannot be
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _check_depth(text: str) -> None:
    """Refuse nesting and tags before a tree is built, which would recurse."""
    depth = values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > MOST_DEPTH:
            raise _at(event.start_mark, f"nested more than {MOST_DEPTH} deep")
        if values > MOST_VALUES:
            raise _at(event.start_mark, f"more than {MOST_VALUES} values")
        if tag := getattr(event, "tag", None):
            raise _at(event.start_mark, f"the tag {tag!r} is not allowed; remove it")


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, aliases written out."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES  # a node inside itself
        inner = (
            [part for pair in node.value for part in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + (0 if isinstance(inner, str) else sum(_count(part, known) for part in inner))
    if known[id(node)] >= MOST_VALUES:
        raise _at(node.start_mark, f"more than {MOST_VALUES} values, aliases (*) written out")
    return known[id(node)]


def _at(mark: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
