"""Reader of LeRobot datasets, versions 2.1 and 3.0.

Both keep frames in `data/*/*.parquet` (2.1 one file per episode, 3.0 several episodes per file), one row per frame with
`timestamp`, `frame_index`, `episode_index` and `task_index` beside the features that `meta/info.json` describes, and
the texts of tasks in `meta/tasks.jsonl` (2.1) or `meta/tasks.parquet` (3.0). Pictures and videos are left out. The
format is that of `lerobot.datasets` (github.com/huggingface/lerobot).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import assemble, extra, readable, refuse_huge, to_float32
from mbtransfer.data.formats.logs import LogNotes, LogTable, log_episodes
from mbtransfer.data.formats.mapping import ColumnMapping, MappedColumn
from mbtransfer.data.formats.source import Source
from mbtransfer.data.header import parse_header
from mbtransfer.errors import UserError
from tasks.spec import EnvSpec, Variable, nearest

VERSIONS = ("v2.0", "v2.1", "v3.0")
STATES = ("observation.state", "observation.environment_state")
"""Features that are observations; others are named as left out unless `--keys` asks for them."""

ACTION, REWARD, DONE = "action", "next.reward", "next.done"
INDICES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
OURS = "mbtransfer"
"""Key of `meta/info.json` under which our export keeps the header, and prefix of what it notes beside each episode."""

STATE = "mbtransfer.state"
"""Feature in which our export keeps the simulator's state."""

LONGEST_TASK = 120
"""Letters of a task's text that are kept as the behaviour of an episode."""


@dataclass(frozen=True)
class Feature:
    """One feature of numbers: its name, and the names of its columns."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What `meta/info.json` says, and the files that hold the frames."""

    folder: Path
    fps: float
    features: Mapping[str, Feature]
    pictures: tuple[str, ...]
    tasks: Mapping[int, str]
    files: tuple[Path, ...]
    info: Mapping[str, Any]


def read_lerobot(
    folder: Path, keys: Sequence[str] = (), mapping: ColumnMapping | None = None, spec: EnvSpec | None = None
) -> Source:
    """A LeRobot dataset in a folder; one that `export_lerobot` wrote comes back as it was.

    Args:
        folder: with `meta` and `data` in it.
        keys: features that are observations; those of `STATES` that are there where empty.
        mapping: which column is which, by `FEATURE.NAME`, `FEATURE[i]` or a NAME that is there once; by name or order
            without one.
        spec: of the environment; columns are named as in the dataset without one.

    Raises:
        UserError: no such folder, another version, damaged files, or sizes that do not fit.
    """
    found = read_layout(folder)
    if mapping is None and spec is None and OURS in found.info:
        return _exported(found)
    parts = _observed(found, keys)
    if ACTION not in found.features:
        raise UserError(f"lerobot:{folder} has no feature {ACTION!r} of numbers")
    control_dt = spec.control_dt if spec else 1.0 / found.fps
    labels = _labels(parts)
    if mapping:
        sides = mapping.columns, mapping.actions
    else:
        columns, actions = (spec.observation, spec.action) if spec else (None, None)
        sides = _fitted(found, parts, columns), _fitted(found, [found.features[ACTION]], actions)
    known = {*INDICES, ACTION, REWARD, DONE, *(part.name for part in parts)}
    unused = [
        *(f"{name} (pictures)" for name in found.pictures),
        *(n for n in found.features if n not in known),
    ]
    notes = LogNotes(folder.name, control_dt, unused=unused)
    names = tuple(one.name for one in spec.observation) if spec else labels
    where = mapping or ColumnMapping(*sides)
    return Source(
        folder.name, spec.name if spec else folder.name, names,
        lambda: log_episodes(lambda: _tables(found, sides, where), notes), control_dt=control_dt, notes=notes,
    )  # fmt: skip


def read_layout(folder: Path) -> Layout:
    """What a dataset holds.

    Raises:
        UserError: no such folder, no `meta/info.json`, another version, or files that lack.
    """
    name, path = f"lerobot:{folder}", folder / "meta" / "info.json"
    if not path.is_file():
        raise UserError(f"{name} is no LeRobot dataset: there is no {path}")
    with readable(str(path)):
        info = json.loads(path.read_text("utf-8"))
        version, fps = str(info["codebase_version"]), float(info["fps"])
        features = {key: dict(one) for key, one in info["features"].items()}
    if version not in VERSIONS:
        raise UserError(f"{name} is of LeRobot's format {version}; known are {', '.join(VERSIONS)}")
    if not 0 < fps < 1e6:
        raise UserError(f"{path}: fps is {fps:g}; a number above 0 is needed")
    files = tuple(sorted(folder.glob("data/*/*.parquet")))
    if not files:
        raise UserError(f"{name} has no data/*/*.parquet")
    with readable(str(path)):
        pictures = tuple(key for key, one in features.items() if one["dtype"] in ("video", "image"))
        plain = {
            key: one for key, one in features.items() if key not in pictures and _is_number(one["dtype"])
        }
        named = {key: Feature(key, _column_names(key, one)) for key, one in plain.items()}
        tasks = _tasks(folder)
    return Layout(folder, fps, named, pictures, tasks, files, info)


def _is_number(dtype: str) -> bool:
    return dtype.startswith(("float", "int", "uint", "bool"))


def _column_names(key: str, feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a feature's columns, where the dataset tells as many as there are; they may lie in a dict of lists."""
    size, names = int(np.prod(feature["shape"])), feature.get("names")
    if isinstance(names, dict):
        names = [part for parts in names.values() for part in (parts if isinstance(parts, list) else [parts])]
    if isinstance(names, list) and len({str(one) for one in names}) == size == len(names):
        return tuple(str(one) for one in names)
    return tuple(f"{key}_{i}" for i in range(size))


def _tasks(folder: Path) -> dict[int, str]:
    """The tasks' texts by their index; none where the dataset tells none."""
    lines, table = folder / "meta" / "tasks.jsonl", folder / "meta" / "tasks.parquet"
    if table.is_file():
        found = extra("pyarrow.parquet", "logs").read_table(table).to_pydict()
        texts: list[Any] = next((found[key] for key in ("task", "__index_level_0__") if key in found), [])
        return dict(zip(found["task_index"], map(str, texts), strict=True))
    if lines.is_file():
        rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines() if line.strip()]
        return {int(row["task_index"]): str(row["task"]) for row in rows}
    return {}


def _observed(found: Layout, keys: Sequence[str]) -> list[Feature]:
    names = list(keys) or [name for name in STATES if name in found.features]
    for name in names:
        if name not in found.features:
            raise UserError(
                f"lerobot:{found.folder} has no feature {name!r}{nearest(name, list(found.features))}"
            )
    if not names:
        raise UserError(f"lerobot:{found.folder} has no feature {STATES[0]!r}; name observations with --keys")
    return [found.features[name] for name in names]


def _labels(parts: Sequence[Feature]) -> tuple[str, ...]:
    return tuple(column for part in parts for column in part.columns)


def _fitted(
    found: Layout, parts: Sequence[Feature], known: tuple[Variable, ...] | None
) -> tuple[MappedColumn, ...]:
    """The columns of an environment by their names, or else in their order."""
    places = {column: f"{part.name}[{i}]" for part in parts for i, column in enumerate(part.columns)}
    sources = [f"{part.name}[{i}]" for part in parts for i in range(len(part.columns))]
    if known is not None:
        names = [one.name for one in known]
        if set(names) <= set(places):
            sources = [places[name] for name in names]
        elif len(names) != len(sources):
            whole = " and ".join(part.name for part in parts)
            raise UserError(
                f"lerobot:{found.folder}: {whole} has {len(sources)} columns ({', '.join(places)}), "
                f"the environment {len(names)}; say in a mapping which is which"
            )
    return tuple(MappedColumn(source=source) for source in sources)


def _frames(found: Layout) -> Iterator[tuple[int, dict[str, ndarray]]]:
    """Episodes in their order: columns by `FEATURE[i]`, `FEATURE.NAME` and NAMEs that are there once."""
    parquet = extra("pyarrow.parquet", "logs")
    for file in found.files:
        with readable(str(file)):
            about = parquet.read_metadata(file)
            present = [name for name in found.features if name in about.schema.to_arrow_schema().names]
            width = sum(len(found.features[name].columns) for name in present)
            refuse_huge(str(file), about.num_rows * width * 8)
            table = parquet.read_table(file, columns=present)
            arrays = {
                name: np.asarray(table.column(name).to_pylist()).reshape(about.num_rows, -1)
                for name in present
            }
        for lacking in {"episode_index", ACTION} - arrays.keys():
            raise UserError(f"{file} has no column {lacking!r}")
        which = arrays["episode_index"][:, 0]
        for number in dict.fromkeys(which.tolist()):
            rows = np.flatnonzero(which == number)
            if "frame_index" in arrays:
                rows = rows[np.argsort(arrays["frame_index"][rows, 0], kind="stable")]
            yield int(number), {name: values[rows] for name, values in arrays.items()}


def _tables(
    found: Layout, sides: tuple[Sequence[MappedColumn], Sequence[MappedColumn]], mapping: ColumnMapping
) -> Iterator[LogTable]:
    for number, frames in _frames(found):
        columns = _named(found, frames)
        label = f"lerobot:{found.folder.name}: episode {number}"
        obs, actions = (_side(label, columns, side, mapping) for side in sides)
        times = columns.get("timestamp")
        if times is None:
            times = np.arange(len(obs)) / found.fps
        rewards = columns.get(mapping.reward or REWARD)
        yield LogTable(label, times, obs, actions, _behaviour(found, frames), number, rewards)


def _named(found: Layout, frames: Mapping[str, ndarray]) -> dict[str, ndarray]:
    columns, times = dict[str, ndarray](), dict[str, int]()
    for name, values in frames.items():
        names = found.features[name].columns
        if values.shape[1] != len(names):
            raise UserError(
                f"lerobot:{found.folder}: {name} has {values.shape[1]} columns, info.json says {len(names)}"
            )
        for i, column in enumerate(names):
            times[column] = times.get(column, 0) + 1
            columns[f"{name}[{i}]"] = columns[f"{name}.{column}"] = columns[column] = values[:, i].astype(
                np.float64
            )
        if len(names) == 1:
            columns[name] = values[:, 0].astype(np.float64)
    twice = [column for column, count in times.items() if count > 1]
    return {name: values for name, values in columns.items() if name not in twice}


def _side(
    label: str, columns: Mapping[str, ndarray], parts: Sequence[MappedColumn], mapping: ColumnMapping
) -> Float[ndarray, "n C"]:
    for part in parts:
        if part.source not in columns:
            known = nearest(part.source, list(columns))
            raise UserError(f"{mapping.where(part.source)}{label} has no column {part.source!r}{known}")
    return np.stack([columns[part.source] * part.scale + part.offset for part in parts], axis=1)


def _behaviour(found: Layout, frames: Mapping[str, ndarray]) -> str:
    """The text of the task, which is what an episode was recorded for."""
    task = int(frames["task_index"][0, 0]) if "task_index" in frames else -1
    return " ".join(found.tasks.get(task, found.folder.name).split())[:LONGEST_TASK] or found.folder.name


def _exported(found: Layout) -> Source:
    """What `mbtransfer.data.formats.lerobot_export` wrote."""
    header = parse_header(found.folder / "meta" / "info.json", found.info[OURS])
    parquet = extra("pyarrow.parquet", "logs")
    with readable(f"lerobot:{found.folder}"):
        tags: dict[int, dict[str, Any]] = {}
        for file in sorted(found.folder.glob("meta/episodes/*/*.parquet")):
            tags |= {int(row["episode_index"]): row for row in parquet.read_table(file).to_pylist()}
        order = sorted(tags)
        keys = [(str(tags[i][f"{OURS}/key"]), str(tags[i][f"{OURS}/digest"])) for i in order]
    episodes = lambda: (_whole(found, number, frames, tags) for number, frames in _frames(found))  # noqa: E731
    columns = tuple(one.name for one in header.observation)
    return Source(
        found.folder.name,
        header.env,
        columns,
        episodes,
        control_dt=header.control_dt,
        header=header,
        keys=keys,
    )


def _whole(
    found: Layout, number: int, frames: Mapping[str, ndarray], tags: Mapping[int, Mapping[str, Any]]
) -> Episode:
    """An exported episode: the last frame has the last observation, and an action that was never done."""
    label = f"lerobot:{found.folder.name}: episode {number}"
    with readable(label):
        tag = tags[number]
        paid = frames.get(REWARD)
        made = assemble(
            label, to_float32(frames[STATES[0]]), frames[ACTION][:-1], behaviour=str(tag[f"{OURS}/behaviour"]),
            seed=int(tag[f"{OURS}/seed"]), terminated=bool(tag[f"{OURS}/terminated"]),
            truncated=bool(tag[f"{OURS}/truncated"]), state=frames.get(STATE),
            rewards=paid[:-1] if paid is not None and tag[f"{OURS}/has_rewards"] else None,
        )  # fmt: skip
        if made is None:
            raise UserError(f"{label} has no steps")
        return made
