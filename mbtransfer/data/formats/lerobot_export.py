"""Writer of LeRobot datasets, version 3.0.

The layout is that of `lerobot.datasets.dataset_writer` and `dataset_metadata` (github.com/huggingface/lerobot): frames
in `data/chunk-000/file-000.parquet`, one row group per episode; `meta/info.json`, `meta/stats.json`,
`meta/tasks.parquet`, `meta/episodes/chunk-000/file-000.parquet`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data import Dataset
from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import content_digest, extra
from mbtransfer.data.formats.lerobot import ACTION, DONE, OURS, REWARD, STATE, STATES
from mbtransfer.data.header import header_content
from mbtransfer.errors import UserError
from mbtransfer.runtime.files import appearing, write_json

FILE_MB = 100
"""Size after which frames go on in another file; LeRobot's own."""

CHUNK = 1000
"""Files per folder; LeRobot's own."""

PATHS = {
    "data": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "episodes": "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
}


def export_lerobot(dataset: Dataset, folder: Path) -> Path:
    """Write every episode; the folder appears when all is in it.

    The last frame of an episode holds its last observation and repeats the last action, which was never done: LeRobot
    has as many actions as observations. The simulator's state, if there is any, becomes the feature `mbtransfer.state`;
    header, units, behaviours and seeds are kept where LeRobot's readers pass over them. A behaviour is a task's text.

    Returns:
        The folder.

    Raises:
        UserError: pyarrow is not installed, the folder exists, nothing to export, no control rate, or a full disk.
    """
    extra("pyarrow", "logs")
    if folder.exists():
        raise UserError(f"{folder} exists; give another folder")
    if not len(dataset):
        raise UserError(f"{dataset.path} holds no episodes to export")
    if dataset.header.control_dt <= 0:
        raise UserError(f"{dataset.path} does not say how long a control step is, which LeRobot needs as fps")
    with appearing(folder, root=folder.parent) as home:
        _write(dataset, home)
    return folder


def _write(dataset: Dataset, home: Path) -> None:
    arrow, parquet = extra("pyarrow", "logs"), extra("pyarrow.parquet", "logs")
    features = _features(dataset)
    schema = arrow.schema([(name, _arrow_type(arrow, one)) for name, one in features.items()])
    tasks, rows, moments = dict[str, int](), list[dict[str, Any]](), dict[str, list[ndarray]]()
    at, first, writer, begun = 0, 0, None, 0
    try:
        for number, (episode, key, digest) in enumerate(_episodes(dataset)):
            task = tasks.setdefault(episode.behaviour, len(tasks))
            frames = _frames(episode, number, task, first, dataset.header.control_dt, features)
            path = home / PATHS["data"].format(chunk_index=at // CHUNK, file_index=at % CHUNK)
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = parquet.ParquetWriter(path, schema, compression="snappy", use_dictionary=True)
            columns = [_column(arrow, schema.field(name).type, frames[name]) for name in features]
            writer.write_table(arrow.table(columns, schema=schema))
            rows.append(_about(episode, number, key, digest, at, first, len(frames["index"])))
            for name in features:
                moments.setdefault(name, []).append(_moments(frames[name]))
            first += len(frames["index"])
            begun += sum(values.nbytes for values in frames.values())
            if begun > FILE_MB * 2**20:
                writer.close()
                at, writer, begun = at + 1, None, 0
    finally:
        if writer is not None:
            writer.close()
    path = home / PATHS["episodes"].format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True)
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    index = pd.Index(list(tasks), name="task")
    pd.DataFrame({"task_index": np.arange(len(tasks))}, index=index).to_parquet(home / "meta/tasks.parquet")
    write_json(home / "meta/stats.json", {name: _stats(parts) for name, parts in moments.items()})
    write_json(home / "meta/info.json", _info(dataset, features, len(rows), first, len(tasks)))


def _episodes(dataset: Dataset) -> Iterator[tuple[Episode, str, str]]:
    for shard, chosen in dataset.pool.parts:
        episodes = [shard.episode(index) for index in chosen]
        digest = content_digest(episodes)
        for episode in episodes:
            yield episode, shard.key, digest


def _features(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Features as `meta/info.json` describes them."""
    header = dataset.header

    def of(dtype: str, names: Sequence[str] | None, size: int = 1) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [size], "names": None if names is None else list(names)}

    sides = (
        (STATES[0], "float32", [one.name for one in header.observation]),
        (ACTION, "float32", [one.name for one in header.action]),
    )
    found = {name: of(dtype, names, len(names)) for name, dtype, names in sides}
    if header.state_size:
        found[STATE] = of("float64", None, header.state_size)
    if any(episode.rewards is not None for episode in dataset.episodes()):
        found[REWARD] = of("float64", None)
    found[DONE] = of("bool", None)
    found["timestamp"] = of("float32", None)
    return found | {
        name: of("int64", None) for name in ("frame_index", "episode_index", "index", "task_index")
    }


def _arrow_type(arrow: Any, feature: Mapping[str, Any]) -> Any:
    """A single number is a column of numbers, several are lists of that length, as in `datasets.Features`."""
    plain = arrow.bool_() if feature["dtype"] == "bool" else getattr(arrow, feature["dtype"])()
    size = feature["shape"][0]
    return plain if size == 1 else arrow.list_(plain, size)


def _frames(
    episode: Episode, number: int, task: int, first: int, control_dt: float, features: Mapping[str, Any]
) -> dict[str, ndarray]:
    """The T + 1 frames of an episode, by feature."""
    count = len(episode.obs)
    rewards = np.zeros(len(episode)) if episode.rewards is None else episode.rewards
    steps = np.arange(count)
    found = {
        STATES[0]: episode.obs,
        ACTION: np.concatenate([episode.actions, episode.actions[-1:]]),
        STATE: episode.state,
        REWARD: np.append(rewards, 0.0),
        DONE: steps == count - 1,
        "timestamp": (steps * control_dt).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(count, number),
        "index": first + steps,
        "task_index": np.full(count, task),
    }
    return {name: found[name] for name in features}


def _column(arrow: Any, kind: Any, values: ndarray) -> Any:
    flat = arrow.array(np.ascontiguousarray(values).reshape(-1))
    if not arrow.types.is_fixed_size_list(kind):
        return flat.cast(kind)
    return arrow.FixedSizeListArray.from_arrays(flat.cast(kind.value_type), kind.list_size)


def _about(
    episode: Episode, number: int, key: str, digest: str, at: int, first: int, count: int
) -> dict[str, Any]:
    own = {
        "behaviour": episode.behaviour, "seed": str(episode.seed), "key": key, "digest": digest,
        "terminated": bool(episode.terminated), "truncated": bool(episode.truncated),
        "has_rewards": episode.rewards is not None,
    }  # fmt: skip
    return {
        "episode_index": number, "tasks": [episode.behaviour], "length": count,
        "data/chunk_index": at // CHUNK, "data/file_index": at % CHUNK,
        "dataset_from_index": first, "dataset_to_index": first + count,
        "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
        **{f"{OURS}/{name}": value for name, value in own.items()},
    }  # fmt: skip


def _moments(values: ndarray) -> Float[ndarray, "5 C"]:
    """Count, sum, sum of squares, least and greatest of each column."""
    wide = values.reshape(len(values), -1).astype(np.float64)
    count = np.full(wide.shape[1], len(wide))
    return np.stack(
        [count, wide.sum(axis=0), np.square(wide).sum(axis=0), wide.min(axis=0), wide.max(axis=0)]
    )


def _stats(parts: Sequence[ndarray]) -> dict[str, list[float]]:
    every = np.stack(parts)
    count, total, squares = every[:, :3].sum(axis=0)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    low, high = every[:, 3].min(axis=0), every[:, 4].max(axis=0)
    found = {"min": low, "max": high, "mean": mean, "std": spread}
    return {name: values.tolist() for name, values in found.items()} | {"count": [int(count[0])]}


def _info(
    dataset: Dataset, features: Mapping[str, Any], episodes: int, frames: int, tasks: int
) -> dict[str, Any]:
    rate = 1.0 / dataset.header.control_dt
    return {
        "codebase_version": "v3.0", "robot_type": None, "total_episodes": episodes, "total_frames": frames,
        "total_tasks": tasks, "chunks_size": CHUNK, "data_files_size_in_mb": FILE_MB, "video_files_size_in_mb": 200,
        "fps": round(rate) if abs(rate - round(rate)) < 1e-6 * rate else rate, "splits": {"train": f"0:{episodes}"},
        "data_path": PATHS["data"], "video_path": None, "features": dict(features),
        OURS: header_content(dataset.header),
    }  # fmt: skip
