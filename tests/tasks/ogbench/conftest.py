from __future__ import annotations

from typing import Any

import pytest

from tasks.environment import Environment
from tasks.ogbench.cells import CELLS, load_env
from tasks.registry import make
from tasks.simulator import Simulator

pytest.importorskip("ogbench", reason="OGBench is not installed; docs/ogbench.md says how")


@pytest.fixture(scope="package")
def workcell() -> Environment:
    return make("ogbench:scene")


@pytest.fixture(scope="package")
def scene(workcell: Environment) -> Simulator:
    return workcell.make_scene(())


@pytest.fixture(scope="package")
def theirs() -> dict[str, Any]:
    """The package's own environments, one of each kind."""
    return {name: load_env(name, cell) for name, cell in CELLS.items()}
