"""Reader of robomimic HDF5 files (`data/demo_N`)."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.arrays import NAMES, flat_source
from mbtransfer.data.formats.convert import assemble, extra, flatten, hdf5_member, hdf5_numbers, readable
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError


def read_robomimic(path: Path, keys: Sequence[str] = ()) -> Source:
    """A `.hdf5` file in robomimic's layout; one of flat arrays as D4RL's is read too.

    Its `states` become the simulator's state. There is one per action, none after the last: the last step is left
    out then. `data`'s attribute `env_args` tells the environment's name and its rate of control.

    Raises:
        UserError: a damaged file, another layout, or lengths that do not fit.
    """
    with _opened(path) as file:
        if "data" not in file and any(name in file for name in NAMES["obs"]):
            names = {part: [n for n in names if n in file] for part, names in NAMES.items()}
            arrays = {
                part: hdf5_numbers(file, n[0], f"{path.name}: {n[0]}") for part, n in names.items() if n
            }
            return flat_source(path.name, path.stem, arrays, keys)
        demos = _demos(file, path.name)
        env, control_dt = _about(file["data"].attrs, path.stem)
        columns = _observed(file["data"][demos[0]], "obs", keys, f"{path.name}: {demos[0]}")[0]
    return Source(path.name, env, columns, lambda: _episodes(path, demos, keys), control_dt=control_dt)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    h5py = extra("h5py")
    with readable(str(path)), h5py.File(path, "r") as file:
        yield file


def _demos(file: Any, name: str) -> list[str]:
    if "data" not in file:
        raise UserError(f"{name} has no group `data`; robomimic's layout is data/demo_N")
    data = hdf5_member(file, "data", f"{name}: data")
    demos = [demo for demo in getattr(data, "keys", list)() if re.fullmatch(r"demo_\d+", demo)]
    if not demos:
        raise UserError(f"{name} has no data/demo_N")
    return sorted(demos, key=lambda demo: int(demo[5:]))


def _about(attributes: Any, stem: str) -> tuple[str, float]:
    """Name of the environment and seconds per control step, as far as the file tells."""
    try:
        about = json.loads(attributes["env_args"])
        rate = float(about.get("env_kwargs", {}).get("control_freq", 0))
        return str(about.get("env_name") or stem), 1 / rate if 0 < rate < 1e6 else 0.0
    except (KeyError, ValueError, TypeError, AttributeError):
        return stem, 0.0


def _observed(demo: Any, group: str, keys: Sequence[str], name: str) -> tuple[tuple[str, ...], Any]:
    parts = hdf5_member(demo, group, f"{name}/{group}")
    if not hasattr(parts, "keys"):
        return flatten(hdf5_numbers(demo, group, f"{name}/{group}"), keys, name)
    nodes = {part: hdf5_member(parts, part, f"{name}/{group}/{part}") for part in parts}
    pictures = {part for part, node in nodes.items() if len(getattr(node, "shape", ())) > 3}
    wanted = [part for part in nodes if (part in keys if keys else part not in pictures)]
    return flatten({part: hdf5_numbers(parts, part, f"{name}/{group}/{part}") for part in wanted}, keys, name)


def _episodes(path: Path, demos: Sequence[str], keys: Sequence[str]) -> Iterator[Episode]:
    with _opened(path) as file:
        columns: tuple[str, ...] | None = None
        for demo in demos:
            name = f"{path.name}: {demo}"
            group = hdf5_member(file["data"], demo, name)
            seen, obs = _observed(group, "obs", keys, name)
            columns = columns or seen
            if seen != columns:
                raise UserError(f"{name} and {demos[0]} differ: their observations have other parts or sizes")
            found = _episode(group, obs, keys, name, int(demo[5:]), path.name)
            if found is not None:
                yield found


def _episode(
    group: Any, obs: ndarray, keys: Sequence[str], name: str, seed: int, behaviour: str
) -> Episode | None:
    wanted = [
        part for part in ("actions", "rewards", "dones", "states") if part in group or part == "actions"
    ]
    arrays = {part: hdf5_numbers(group, part, f"{name}/{part}") for part in wanted}
    dones = arrays.get("dones", np.zeros(len(arrays["actions"])))
    if dones.size != len(arrays["actions"]):
        raise UserError(f"{name}: dones have shape {dones.shape}; one value per action is needed")
    following = _observed(group, "next_obs", keys, name)[1] if "next_obs" in group else None
    return assemble(
        name, obs, arrays["actions"], behaviour=behaviour, seed=seed, terminated=bool(dones.size and dones.flat[-1]),
        next_obs=following, rewards=arrays.get("rewards"), state=arrays.get("states"),
    )  # fmt: skip
