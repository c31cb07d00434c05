"""A running server and a robot, where what it needs is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from mbtransfer.model import Model
from tests.mbtransfer.conftest import _drifting
from world_models.uncertainty.disagreement import NOTE

if TYPE_CHECKING:
    from mbtransfer.serve.client import RobotClient
    from tests.mbtransfer.serve.running import Running

if not all(find_spec(name) for name in ("websockets", "msgpack", "prometheus_client")):
    collect_ignore = ["test_load.py", "test_ros2_node.py", "test_server.py"]


@pytest.fixture(scope="session")
def model() -> Model:
    """The hand follows the action exactly; its members always agree, so its doubt is nil."""
    made = _drifting()
    made.notes[NOTE] = [[i / 100 for i in range(101)]]
    return made


@pytest.fixture(scope="module")
def running(model: Model) -> Iterator[Running]:
    from tests.mbtransfer.serve.running import Running

    made = Running(model)
    yield made
    made.stop()


@pytest.fixture
def robot(running: Running) -> Iterator[RobotClient]:
    made = running.robot()
    yield made
    made.close()
