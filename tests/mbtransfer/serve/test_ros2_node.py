"""The ROS 2 node of `examples/`, with a stand-in for rclpy: what it passes on, and what it says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mbtransfer.model import Model
from mbtransfer.serve.client import RobotClient
from tests.mbtransfer.serve.running import SAFE, TASK, Running, seen

NODE = Path(__file__).resolve().parents[3] / "examples" / "ros2_node.py"

pytestmark = pytest.mark.skipif(not NODE.is_file(), reason="a wheel comes without examples")


class Node:
    """Stands in for a node of rclpy."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.sent: list[list[float]] = []
        self.logged: list[str] = []
        self.destroy_node = lambda: self.logged.append("gone")

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=lambda message: self.sent.append(message.data))

    def create_subscription(self, kind: type, topic: str, call: Any, depth: int) -> None:
        self.heard[topic] = call

    def get_logger(self) -> Any:
        return SimpleNamespace(info=self.logged.append, warning=self.logged.append, error=self.logged.append)


def test_it_needs_rclpy_only_when_it_runs() -> None:
    assert "rclpy" not in sys.modules
    assert runpy.run_path(str(NODE))["Bridge"] and "rclpy" not in sys.modules


def test_observations_become_actions(running: Running, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    node, rclpy, messages, package = Node(), *(ModuleType(n) for n in ("rclpy", "std_msgs.msg", "std_msgs"))

    def spin(same: Node) -> None:
        same.heard["observation"](SimpleNamespace(data=seen(model)))
        same.heard["task"](SimpleNamespace(data="drawer_opne"))
        same.heard["task"](SimpleNamespace(data=TASK))
        same.heard["observation"](SimpleNamespace(data=seen(model)))

    parts: dict[str, Any] = {
        "init": lambda: None, "create_node": lambda name: node, "spin": spin, "shutdown": lambda: None,
    }  # fmt: skip
    for name, part in parts.items():
        setattr(rclpy, name, part)
    messages.Float32MultiArray = messages.String = SimpleNamespace  # type: ignore[attr-defined]
    for module in (rclpy, messages, package):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    script = runpy.run_path(str(NODE))
    monkeypatch.setitem(
        script["main"].__globals__, "RobotClient", lambda at, token: RobotClient(at, token, 60.0)
    )
    script["main"](running.address)
    assert node.sent[0] == list(SAFE) and len(node.sent) == 2 and len(node.sent[1]) == len(SAFE)
    assert node.logged[0] == "safe action: no goal" and "did you mean 'drawer_open'" in node.logged[1]
    assert node.logged[2:] == [f"pursues {TASK}", "plans again", "gone"]
