"""Imports go one way: `mbtransfer` is the roof, and the three leaves know neither it nor each other."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

LEAVES = ("tasks", "world_models", "planners")
HOUSE = (*LEAVES, "mbtransfer")
EXTRAS = (
    "gymnasium_robotics",
    "msgpack",
    "prometheus_client",
    "ray",
    "sb3_contrib",
    "sklearn",
    "stable_baselines3",
    "tensorboard",
    "torchjd",
    "trimesh",
    "viser",
    "websockets",
)
DYNAMIC = ("import_module", "__import__", "find_spec")


def imported(source: str) -> Iterator[tuple[str, int]]:
    """Each top-level package that `source` imports anywhere, also inside functions, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and _called(node) in DYNAMIC and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value.partition(".")[0], node.lineno


def crossings(source: str, package: str) -> list[tuple[str, int]]:
    """The imports in `source`, a file of `package`, that reach into another part of the house."""
    others = set(HOUSE) - {package}
    return [(name, line) for name, line in imported(source) if name in others]


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _files(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"`{package}` cannot be imported"
    home = Path(spec.origin).parent
    return [home / "__init__.py", *sorted(set(home.rglob("*.py")) - {home / "__init__.py"})]


def _modules(package: str) -> list[str]:
    home = _files(package)[0].parent
    parts = (file.relative_to(home.parent).with_suffix("").parts for file in _files(package))
    return [".".join(part for part in name if part != "__init__") for name in parts if "__main__" not in name]


@pytest.mark.parametrize("name", [name for package in HOUSE for name in _modules(package)])
def test_a_module_can_be_imported(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"needs the extra with {error.name}")


@pytest.mark.parametrize("package", LEAVES)
def test_a_leaf_imports_none_of_its_siblings(package: str) -> None:
    files = _files(package)
    found = [
        f"{file}:{line} imports {name}"
        for file in files
        for name, line in crossings(file.read_text(encoding="utf-8"), package)
    ]
    assert len(files) > 1
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import planners",
        "import planners.cem as cem",
        "from planners.cem import CEM",
        "def late():\n    from planners import CEM",
        "import importlib\nimportlib.import_module('planners.cem')",
        "__import__('planners')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mbtransfer.agent import MPCAgent",
    ],
)
def test_every_kind_of_crossing_is_seen(source: str) -> None:
    assert crossings(source, "tasks")


@pytest.mark.parametrize("source", ["import tasks.spec", "from . import planners", "import torch", "x = 1"])
def test_what_stays_inside_is_allowed(source: str) -> None:
    assert not crossings(source, "tasks")


def test_test_folders_are_no_packages() -> None:
    # tests/tasks/__init__.py would make a second `tasks` package.
    assert not list(Path(__file__).parent.rglob("__init__.py"))
