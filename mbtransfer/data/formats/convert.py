"""Validation and conversion of arrays from foreign files."""

import hashlib
import importlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from tasks.spec import nearest

ROOM = 0.5
"""Share of the machine's memory that one read may fill."""


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn whatever a reader raises about a damaged file into one line.

    Raises:
        UserError: `name` cannot be read, and why.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a file can be wrong in more ways than its reader has words for
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"cannot read {name}: {reason}") from error


def extra(module: str, name: str = "minari") -> Any:
    """Import what comes with the extra of that name.

    Raises:
        UserError: it is not installed, and how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        lacking = error.name or module
        raise UserError(f"{lacking} is not installed: pip install 'mbtransfer[{name}]'") from error


def refuse_huge(name: str, size: int) -> None:
    """Refuse to read what memory cannot hold: a small file can claim to unfold into anything.

    Raises:
        UserError: `size` bytes are too many.
    """
    room = ROOM * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > room:
        raise UserError(f"{name} unfolds into {size / 1e9:,.0f} GB, too much for this machine's memory")


def numbers(name: str, values: Any) -> ndarray:
    """An array of real numbers.

    Raises:
        UserError: it holds text, objects or complex numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name} holds {array.dtype} values; numbers are needed")
    return array


def hdf5_numbers(group: Any, path: str, name: str) -> ndarray:
    """Read a dataset of numbers that lies in the file itself.

    Raises:
        UserError: there is none, it is a group, or it points to another file.
    """
    node = hdf5_member(group, path, name)
    if not hasattr(node, "dtype"):
        raise UserError(f"{name} is a group; an array is needed")
    if node.external or node.is_virtual:
        raise UserError(f"{name} lies in another file; copy the data into this one")
    refuse_huge(name, node.nbytes)
    return numbers(name, node[()] if node.dtype.kind in "fiub" else np.empty(0, object))


def check_hdf5(path: Path, source: str) -> None:
    """See that a file holds all of its data itself: for readers that follow whatever it refers to.

    Args:
        path: the file.
        source: what it belongs to, as the user calls it.

    Raises:
        UserError: it is damaged, a link leads to elsewhere, an array lies in another file, or is too large.
    """
    h5py = extra("h5py")

    def check(group: Any) -> None:
        for key in group:
            node = hdf5_member(group, key, f"{path.name}: {group.name.rstrip('/')}/{key}")
            if isinstance(node, h5py.Group):
                check(node)
                continue
            if node.external or node.is_virtual:
                raise UserError(f"{path.name}: {node.name} lies in another file; copy the data into this one")
            refuse_huge(f"{path.name}: {node.name}", node.nbytes)

    with readable(source), h5py.File(path, "r") as file:
        check(file)


def hdf5_member(group: Any, path: str, name: str) -> Any:
    """What lies at `path` in an HDF5 group, in the file itself.

    Raises:
        UserError: there is nothing, or a link.
    """
    h5py = extra("h5py")
    if path not in group:
        raise UserError(f"{name} is missing")
    if not isinstance(group.get(path, getlink=True), h5py.HardLink):
        raise UserError(f"{name} is a link; copy the data into this file")
    return group[path]


GOAL = "desired_goal"
"""A dict observation with this part is a goal environment's: the goal is the task, and the dynamics never see it."""


def flatten(observed: Any, keys: Sequence[str], name: str) -> tuple[tuple[str, ...], ndarray]:
    """Columns side by side, [rows, O] float32, and their names.

    An array gives `obs_0`, `obs_1`, ... Of a dict the parts in `keys` are taken, in that order; without keys all but
    pictures, or of a goal environment `observation` alone.

    Args:
        observed: an array [rows, ...], or parts by name, nested to any depth.
        keys: names of parts; `a` means all parts below `a`, `a/b` one of them.
        name: what messages call it.

    Raises:
        UserError: no such part, pictures, lengths that differ, or nothing to keep.
    """
    parts = dict(_leaves(observed, name))
    chosen = _chosen(parts, observed, keys, name)
    plain = set(chosen) <= {"", "observation"}
    columns, arrays = list[str](), list[ndarray]()
    for part in chosen:
        array = parts[part]
        flat = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
        label = "obs" if plain else part.replace("/", "_")
        columns += [f"{label}_{i}" for i in range(flat.shape[1])]
        arrays.append(flat)
    if len({len(array) for array in arrays}) > 1:
        raise UserError(f"{name}: the parts of an observation differ in length")
    if not columns:
        raise UserError(f"{name} has no observation columns")
    return tuple(columns), to_float32(np.concatenate(arrays, axis=1))


def to_float32(values: ndarray) -> ndarray:
    """The nearest float32 numbers; what is too large becomes infinite, which a dataset refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)


def _leaves(observed: Any, name: str, path: str = "") -> Iterator[tuple[str, ndarray]]:
    if isinstance(observed, Mapping):
        for key, part in observed.items():
            yield from _leaves(part, name, f"{path}/{key}" if path else str(key))
        return
    array = numbers(f"{name}: {path or 'observations'}", observed)
    if array.ndim == 0:
        raise UserError(f"{name}: {path or 'observations'} is a single number; one row per step is needed")
    yield path, array[:, None] if array.ndim == 1 else array


def _chosen(parts: Mapping[str, ndarray], observed: Any, keys: Sequence[str], name: str) -> list[str]:
    if not isinstance(observed, Mapping):
        if keys:
            raise UserError(f"{name}: observations have no parts; leave out --keys")
        keys = ("",)
    elif not keys and GOAL in observed and "observation" in observed:
        keys = ("observation",)
    elif not keys:
        return [part for part, array in parts.items() if not _picture(array)]
    chosen = list[str]()
    for key in keys:
        found = [part for part in parts if part == key or part.startswith(f"{key}/")]
        if not found:
            raise UserError(f"{name}: observations have no part {key!r}{nearest(key, list(parts))}")
        chosen += [part for part in found if part not in chosen]
    for part in chosen:
        if _picture(parts[part]):
            raise UserError(f"{name}: {part or 'observations'} are pictures; only numbers can be imported")
    return chosen


def _picture(array: ndarray) -> bool:
    return array.dtype == np.uint8 and array.ndim >= 3


def assemble(
    name: str, obs: Float32[ndarray, "rows O"], actions: Any, *, behaviour: str, seed: int, terminated: bool,
    next_obs: ndarray | None = None, rewards: Any = None, state: Any = None,
    truncated: bool | None = None,
) -> Episode | None:  # fmt: skip
    """An episode of T steps, with T + 1 observations and states.

    Where the last observation or the last state is lacking, the last step is left out: the episode is then cut
    (truncated), and None if nothing is left. `truncated` is None where it is the rest: what did not terminate.

    Raises:
        UserError: lengths that do not fit each other, or observations that do not follow each other.
    """
    actions = to_float32(_rows(name, "actions", actions))
    steps = len(actions)
    obs = _followed(name, obs, next_obs, steps)
    state = np.zeros((len(obs), 0)) if state is None else _rows(name, "states", state)
    paid = None if rewards is None else _paid(name, rewards, steps)
    for part, array in (("observations", obs), ("states", state)):
        if len(array) not in (steps, steps + 1):
            raise UserError(f"{name}: {len(array)} {part} do not fit {steps} actions")
    kept = min(len(obs), len(state)) - 1
    if kept < 1 < steps + 1:
        return None
    cut = kept < steps
    return Episode(
        obs[: kept + 1], actions[:kept], np.ascontiguousarray(state[: kept + 1], np.float64), behaviour, seed,
        terminated=terminated and not cut, truncated=cut or (not terminated if truncated is None else truncated),
        rewards=None if paid is None else paid[:kept],
    )  # fmt: skip


def _followed(name: str, obs: ndarray, next_obs: ndarray | None, steps: int) -> ndarray:
    """All observations, with the one after the last action where it is known."""
    if next_obs is None or len(obs) != steps or steps == 0:
        return obs
    if next_obs.shape != obs.shape:
        raise UserError(f"{name}: next observations are {next_obs.shape}, observations {obs.shape}")
    apart = ~np.isclose(next_obs[:-1], obs[1:], rtol=1e-4, atol=1e-5, equal_nan=True).all(axis=1)
    if apart.any():
        step = int(np.argmax(apart))
        raise UserError(f"{name}: step {step} does not lead to step {step + 1}; transitions must be in order")
    return np.concatenate([obs, next_obs[-1:]])


def _rows(name: str, part: str, values: Any) -> ndarray:
    array = numbers(f"{name}: {part}", values)
    if array.ndim != 2:
        raise UserError(f"{name}: {part} have shape {array.shape}; one row of numbers per step is needed")
    return array


def _paid(name: str, values: Any, steps: int) -> ndarray:
    array = numbers(f"{name}: rewards", values)
    if array.shape not in ((steps,), (steps, 1)):
        raise UserError(f"{name}: rewards have shape {array.shape}, {steps} actions need ({steps},)")
    return np.ascontiguousarray(array.reshape(steps), np.float64)


def content_digest(episodes: Sequence[Episode]) -> str:
    """Checksum of all that episodes hold."""
    digest = hashlib.sha256()
    for episode in episodes:
        tags = [episode.behaviour, episode.seed, bool(episode.terminated), bool(episode.truncated)]
        arrays = {"obs": episode.obs, "actions": episode.actions, "state": episode.state}
        if episode.rewards is not None:
            arrays["rewards"] = episode.rewards
        shapes = {name: array.shape for name, array in arrays.items()}
        digest.update(json.dumps([tags, shapes]).encode())
        for array in arrays.values():
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
