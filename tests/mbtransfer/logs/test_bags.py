from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcap_ros2")

from mcap_ros2.writer import Writer

from mbtransfer.data.formats import find_source
from mbtransfer.errors import USER_ERRORS

JOINT_STATE = """\
std_msgs/Header header
string[] name
float64[] position
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
ARRAY = "float64[] data\n"


def _arm() -> Any:
    spec = importlib.util.spec_from_file_location("arm", Path(__file__).with_name("arm.py"))
    assert spec and spec.loader
    module = sys.modules["arm"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


arm = _arm()


def bag(path: Path, log: Any, silent: range = range(0)) -> Path:
    """The log as a bag: joints five times per control step, targets once, a little before it."""
    step = 1 / arm.RATE
    with path.open("wb") as stream, Writer(stream) as writer:
        state = writer.register_msgdef("sensor_msgs/msg/JointState", JOINT_STATE)
        array = writer.register_msgdef("std_msgs/msg/Float64MultiArray", ARRAY)
        for t, (joints, targets) in enumerate(zip(log.joints, log.targets, strict=True)):
            begin = 1_000_000_000 + round(1e9 * t * step)
            writer.write_message("/command", array, {"data": targets.tolist()}, log_time=begin - 2_000_000)
            for part in range(5 if t not in silent else 0):
                stamp = {"sec": 0, "nanosec": 0}
                message = {
                    "header": {"stamp": stamp, "frame_id": ""}, "name": list(arm.JOINTS),
                    "position": (joints + 0.001 * part).tolist(),
                }  # fmt: skip
                writer.write_message("/joint_states", state, message, log_time=begin + part * 10_000_000)
    return path


def mapping(path: Path, lift: str = "/joint_states.position[lift]") -> Path:
    columns = [f"  {joint}: /joint_states.position[{i}]" for i, joint in enumerate(arm.JOINTS)]
    columns[1] = f"  lift: {lift}"
    actions = [f"  {joint}_target: /command.data[{i}]" for i, joint in enumerate(arm.JOINTS)]
    path.write_text("\n".join(["columns:", *columns, "actions:", *actions]) + "\n")
    return path


def test_the_last_message_before_each_step_counts(tmp_path: Path) -> None:
    env = f"file:{arm.declare(tmp_path / 'arm.yaml')}"
    (log,) = arm.record(1, 30)
    bag(tmp_path / "a.mcap", log)
    bag(tmp_path / "b.mcap", log, silent=range(10, 14))
    source = find_source(f"mcap:{tmp_path}", mapping=mapping(tmp_path / "map.yaml"), env=env)
    whole, *pieces = source.episodes()
    np.testing.assert_allclose(whole.obs, log.joints, atol=1e-6)
    np.testing.assert_allclose(whole.actions, log.targets[:-1], atol=1e-6)
    assert [len(piece) for piece in pieces] == [11, 15]  # what is older than 1.5 control steps does not count
    assert source.notes is not None and source.notes.gaps == 1 and source.notes.recorded == 2


@pytest.mark.parametrize(
    "lift, said",
    [
        (
            "/joint_state.position[1]",
            "map.yaml:3:3: {}/a.mcap has no messages of '/joint_state'; did you mean ",
        ),
        ("/joint_states.position[9]", "a.mcap: a message of /joint_states has no number .position[9]"),
        ("/joint_states.position[lifft]", "has no number .position[lifft]"),
        ("joint_states", "map.yaml:3:3: 'joint_states' is no field of a topic; write it like"),
    ],
)
def test_what_is_not_in_a_bag_is_one_line(tmp_path: Path, lift: str, said: str) -> None:
    env = f"file:{arm.declare(tmp_path / 'arm.yaml')}"
    bag(tmp_path / "a.mcap", arm.record(1, 10)[0])
    with pytest.raises(USER_ERRORS) as refused:
        made = find_source(f"mcap:{tmp_path}/a.mcap", mapping=mapping(tmp_path / "map.yaml", lift), env=env)
        list(made.episodes())
    assert said.format(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_slow_topic_is_refused(tmp_path: Path) -> None:
    declared = arm.declare(tmp_path / "arm.yaml")
    declared.write_text(declared.read_text().replace("control_step: 0.05", "control_step: 0.02"))
    bag(tmp_path / "a.mcap", arm.record(1, 10)[0])
    source = find_source(
        f"mcap:{tmp_path}/a.mcap", mapping=mapping(tmp_path / "map.yaml"), env=f"file:{declared}"
    )
    with pytest.raises(
        USER_ERRORS, match=r"messages of /command come every 0.05 s, less often than control steps"
    ):
        list(source.episodes())
