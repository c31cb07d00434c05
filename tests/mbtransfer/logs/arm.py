"""A six-joint arm whose joints follow their targets, and what a recorder would log of it; not a test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import ndarray

JOINTS = ("pan", "lift", "elbow", "flex", "roll", "gripper")
RATE = 20.0
FOLLOWS = 0.3
"""Share of the way to its target that a joint goes in one control step."""

DECLARED = """\
control_step: 0.05
columns:
{columns}
actions:
{actions}
fixtures:
  jaw: {{position: gripper, target: {{grasp: 0.8, release: -0.8}}, tolerance: 0.1}}
"""


def declare(path: Path) -> Path:
    """The arm as a file for `--env file:`."""
    lines = "\n".join(f"  {joint}: {{unit: rad, low: -1.6, high: 1.6}}" for joint in JOINTS)
    path.write_text(DECLARED.format(columns=lines, actions=lines.replace(": {", "_target: {")))
    return path


@dataclass(frozen=True)
class Log:
    """One episode as it was recorded: rows of times (s), joints and targets (rad)."""

    times: ndarray
    joints: ndarray
    targets: ndarray


def record(episodes: int = 20, rows: int = 40, seed: int = 0, delay: int = 0) -> list[Log]:
    """Episodes in which the targets wander; what is asked takes effect `delay` rows later."""
    rng, logs = np.random.default_rng(seed), []
    for _ in range(episodes):
        joints = np.zeros((rows, 6))
        joints[0] = rng.uniform(-1, 1, 6)
        held = np.repeat(rng.uniform(-1.2, 1.2, (rows // 4 + 1, 6)), 4, axis=0)[:rows]
        targets = held + 0.1 * rng.standard_normal((rows, 6))
        for t in range(rows - 1):
            goal = targets[t - delay] if t >= delay else joints[t]
            joints[t + 1] = joints[t] + FOLLOWS * (goal - joints[t])
        logs.append(Log(np.arange(rows) / RATE, joints, targets))
    return logs


def frame(logs: list[Log], *, degrees: bool = False) -> pd.DataFrame:
    """All episodes in one table, as a recorder names things."""
    parts = []
    scale = 180 / np.pi if degrees else 1.0
    for number, log in enumerate(logs):
        part = pd.DataFrame(scale * log.joints, columns=[f"q_{joint}" for joint in JOINTS])
        part[[f"u_{joint}" for joint in JOINTS]] = scale * log.targets
        part.insert(0, "stamp_ms", 1000 * log.times)
        part.insert(0, "run", number)
        part["note"] = "ok"
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def mapping(path: Path, *, degrees: bool = False, run: bool = True) -> Path:
    """The mapping of such a table."""

    def line(joint: str, end: str, source: str) -> str:
        return f"  {joint}{end}: {{from: {source}_{joint}{', unit: deg' if degrees else ''}}}"

    episode = "episode: run\n" if run else ""
    columns = "\n".join(line(joint, "", "q") for joint in JOINTS)
    actions = "\n".join(line(joint, "_target", "u") for joint in JOINTS)
    path.write_text(f"time: stamp_ms\ntime_unit: ms\n{episode}columns:\n{columns}\nactions:\n{actions}\n")
    return path


TASKS = ("close the jaw", "open the jaw")


def lerobot(folder: Path, logs: list[Log], version: str) -> Path:
    """The logs as LeRobot records them: v2.1 one file per episode, v3.0 ten episodes per file."""
    names = [f"{joint}.pos" for joint in JOINTS]
    joints = {"dtype": "float32", "shape": [6], "names": names}
    one = {"shape": [1], "names": None}
    features = {
        "observation.state": joints,
        "action": joints | {"names": {"motors": names}},
        "observation.images.wrist": {"dtype": "video", "shape": [480, 640, 3], "names": ["h", "w", "c"]},
        "timestamp": one | {"dtype": "float32"},
        **{n: one | {"dtype": "int64"} for n in ("frame_index", "episode_index", "index", "task_index")},
    }
    (folder / "meta").mkdir(parents=True)
    info = {"codebase_version": version, "fps": int(RATE), "features": features, "total_episodes": len(logs)}
    (folder / "meta/info.json").write_text(json.dumps(info))
    if version == "v3.0":
        index = pd.Index(TASKS, name="task")
        pd.DataFrame({"task_index": [0, 1]}, index=index).to_parquet(folder / "meta/tasks.parquet")
    else:
        lines = [json.dumps({"task_index": i, "task": task}) for i, task in enumerate(TASKS)]
        (folder / "meta/tasks.jsonl").write_text("\n".join(lines) + "\n")
    per_file = 10 if version == "v3.0" else 1
    for at in range(0, len(logs), per_file):
        tables = [_frames(log, at + i) for i, log in enumerate(logs[at : at + per_file])]
        name = f"file-{at // per_file:03d}" if version == "v3.0" else f"episode_{at:06d}"
        path = folder / f"data/chunk-000/{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(tables), path)
    return folder


def _frames(log: Log, number: int) -> pa.Table:
    count = len(log.times)
    lists = {"observation.state": log.joints, "action": log.targets}
    flat = {name: pa.array(values.astype(np.float32).reshape(-1)) for name, values in lists.items()}
    columns = {name: pa.FixedSizeListArray.from_arrays(values, 6) for name, values in flat.items()}
    columns["timestamp"] = pa.array(log.times.astype(np.float32))
    columns["frame_index"] = pa.array(np.arange(count))
    columns["episode_index"] = pa.array(np.full(count, number))
    columns["index"] = pa.array(number * count + np.arange(count))
    columns["task_index"] = pa.array(np.full(count, number % 2))
    return pa.table(columns)
