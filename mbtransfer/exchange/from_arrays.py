"""Archives of flat arrays, as D4RL's: all episodes end to end, cut where one ends."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

from mbtransfer.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.exchange.assemble import assemble
from mbtransfer.exchange.flatten import flatten
from mbtransfer.exchange.reading import numbers, readable, refuse_huge
from mbtransfer.exchange.source import Source

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
        arrays = _load(path)
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


def _load(path: Path) -> dict[str, ndarray]:
    with zipfile.ZipFile(path) as archive:
        wanted = {f"{name}.npy" for names in NAMES.values() for name in names}
        refuse_huge(path.name, sum(file.file_size for file in archive.infolist() if file.filename in wanted))
    found = dict[str, ndarray]()
    with np.load(path, allow_pickle=False) as archive:
        for part, names in NAMES.items():
            for name in names:
                if name in archive.files:
                    found[part] = numbers(f"{path.name}: {name}", archive[name])
    return found


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
