"""Reader of flat NumPy or HDF5 arrays in the layout of D4RL."""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.convert import assemble, flatten, numbers, readable, refuse_huge
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError

NAMES = {
    "obs": ("obs", "observations"),
    "next_obs": ("next_obs", "next_observations"),
    "actions": ("actions",),
    "rewards": ("rewards",),
    "terminals": ("terminals", "terminations"),
    "timeouts": ("timeouts", "truncations"),
}
"""What each array may be called; other arrays are left alone."""


def read_arrays(path: Path, keys: Sequence[str] = ()) -> Source:
    """A `.npz` file with `obs` or `observations`, `actions`, `rewards`, `terminals`, `timeouts`.

    Without `next_observations` nobody knows what the last action of an episode led to; that step is left out.

    Raises:
        UserError: a damaged file, objects instead of numbers, or lengths that do not fit.
    """
    with readable(str(path)):
        arrays = load_arrays(path, NAMES)
    return flat_source(path.name, path.stem, arrays, keys)


def flat_source(name: str, env: str, arrays: Mapping[str, ndarray], keys: Sequence[str]) -> Source:
    """A source of arrays that are in memory, called as in `NAMES`.

    Raises:
        UserError: an array is lacking, or lengths do not fit.
    """
    for needed in ("obs", "actions"):
        if needed not in arrays:
            raise UserError(f"{name} has no {' or '.join(NAMES[needed])}")
    if not {"terminals", "timeouts"} & set(arrays):
        raise UserError(f"{name} has neither terminals nor timeouts: nobody knows where episodes end")
    rows = len(arrays["actions"]) if arrays["actions"].ndim else 0
    for part, array in arrays.items():
        if array.shape[:1] != (rows,) or not rows:
            raise UserError(
                f"{name}: {NAMES[part][-1]} have shape {array.shape}, actions {arrays['actions'].shape}"
            )
        if part in ("terminals", "timeouts") and array.size != rows:
            raise UserError(f"{name}: {part} have shape {array.shape}; one value per step is needed")
    columns, obs = flatten(arrays["obs"], keys, name)
    following = flatten(arrays["next_obs"], keys, name)[1] if "next_obs" in arrays else None
    return Source(name, env, columns, lambda: _episodes(name, obs, following, arrays))


def load_arrays(path: Path, called: Mapping[str, tuple[str, ...]]) -> dict[str, ndarray]:
    """The arrays of numbers of a `.npz` file that are called for; others are left alone.

    Args:
        path: the file.
        called: what each may be called.

    Raises:
        UserError: objects instead of numbers, or more of them than there is memory for.
    """
    with zipfile.ZipFile(path) as archive:
        wanted = {f"{name}.npy" for names in called.values() for name in names}
        members = [file for file in archive.infolist() if file.filename in wanted]
        refuse_huge(path.name, sum(file.file_size for file in members))
        for member in members:
            _check_promise(archive, member, path.name)
    found = dict[str, ndarray]()
    with np.load(path, allow_pickle=False) as archive:
        for part, names in called.items():
            for name in names:
                if name in archive.files:
                    found[part] = numbers(f"{path.name}: {name}", archive[name])
    return found


HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # the same but for letters in names of fields
}


def _check_promise(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    """Refuse an array whose header promises more numbers than the archive holds: NumPy would make room for them."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = HEADERS.get(version)
        if read is None:
            raise UserError(
                f"{name}: {member.filename} is of NumPy's format version {version}, which is unknown here"
            )
        shape, _, dtype = read(file)
    size = math.prod(shape) * dtype.itemsize
    if size > member.file_size:
        raise UserError(f"{name}: {member.filename} promises {size:,} bytes and holds {member.file_size:,}")


def _episodes(
    name: str, obs: ndarray, following: ndarray | None, arrays: Mapping[str, ndarray]
) -> Iterator[Episode]:
    rows = len(obs)
    none = np.zeros(rows, bool)
    terminals, timeouts = (
        arrays.get(part, none).reshape(rows).astype(bool) for part in ("terminals", "timeouts")
    )
    ends = sorted({*np.flatnonzero(terminals | timeouts).tolist(), rows - 1})
    for number, (start, end) in enumerate(zip([0, *(end + 1 for end in ends)], ends, strict=False)):
        part = slice(start, end + 1)
        found = assemble(
            f"{name}: episode {number}", obs[part], arrays["actions"][part], behaviour=name, seed=number,
            terminated=bool(terminals[end]), truncated=bool(timeouts[end] or not terminals[end]),
            next_obs=None if following is None else following[part],
            rewards=arrays["rewards"][part] if "rewards" in arrays else None,
        )  # fmt: skip
        if found is not None:
            yield found
