"""What may not enter a dataset: episodes of another size, and numbers that are none."""

from collections.abc import Sequence

import numpy as np

from mbtransfer.dataset.manifest import Header
from mbtransfer.episode import Episode
from mbtransfer.errors import UserError


def refuse_unfit(episodes: Sequence[Episode], header: Header) -> None:
    """Check episodes against a dataset before anything is written.

    Raises:
        UserError: naming the behaviour, the seed, and where it can be told the step and the column.
    """
    if not episodes:
        raise UserError("no episodes to append")
    for episode in episodes:
        if not isinstance(episode.behaviour, str) or not episode.behaviour:
            raise UserError(f"{episode.label} has no behaviour; tag it with the policy that collected it")
        _refuse(episode, "obs", episode.obs, [variable.name for variable in header.observation])
        _refuse(episode, "actions", episode.actions, [variable.name for variable in header.action])
        _refuse(episode, "state", episode.state, [str(number) for number in range(header.state_size)])
        if (episode.rewards is None) != (episodes[0].rewards is None):
            raise UserError(f"{episode.label}: in one unit either all episodes have rewards or none has")
        if episode.rewards is not None:
            _refuse(episode, "rewards", episode.rewards[:, None], ["reward"])


def _refuse(episode: Episode, name: str, values: np.ndarray, columns: list[str]) -> None:
    if values.shape[1] != len(columns):
        found = f"{name} has {values.shape[1]} columns"
        raise UserError(f"{episode.label}: {found}, the dataset needs {len(columns)}; nothing was written")
    bad = ~np.isfinite(values)
    if bad.any():
        step, column = np.argwhere(bad)[0]
        what = "NaN" if np.isnan(values[step, column]) else "infinite"
        where = f"step {step}, column {columns[column]!r}"
        raise UserError(f"{episode.label}: {name} is {what} at {where}; nothing was written")
