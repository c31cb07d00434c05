from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.environment import Environment
from tasks.metaworld.scenes import LAYOUTS, load_envs
from tasks.registry import make
from tasks.simulator import Simulator

pytest.importorskip("metaworld", reason="Meta-World is not installed; docs/environments.md says how")


@pytest.fixture(scope="package")
def drawer() -> Environment:
    return make("metaworld:drawer")


@pytest.fixture(scope="package")
def drawer_scene(drawer: Environment) -> Simulator:
    return drawer.make_scene(())


@pytest.fixture(scope="package")
def theirs() -> Callable[[str], Any]:
    """Meta-World's own environment of a task, with its thing where ours is, its goal shown."""

    def made(task: str) -> Any:
        layout = next(one for one in LAYOUTS.values() if task in one.tasks)
        return load_envs(task, layout)

    return made
