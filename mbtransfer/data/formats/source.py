"""The interface of every reader: episodes and their metadata."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from mbtransfer.data import Header
from mbtransfer.data.episode import Episode
from mbtransfer.data.formats.logs import LogNotes

Limits = tuple[Float[ndarray, " _"], Float[ndarray, " _"]]
"""Lowest and highest value of each column; infinite where there is no limit."""


@dataclass(frozen=True)
class Source:
    """Episodes of another format.

    Attributes:
        name: what messages, unit keys and, where nobody says who acted, behaviours call it.
        env: name of the environment, as far as the source tells.
        columns: names of the O observation columns.
        episodes: reads all episodes, in the same order each time.
        observation: limits that the source states.
        action: the same of the actions.
        control_dt: seconds per control step; 0 where the source does not tell.
        header: of the dataset that the source was exported from, if it was.
        keys: then the unit of each episode and the digest of that unit's content.
        notes: what a log of a robot was like; filled by each pass over the episodes.
    """

    name: str
    env: str
    columns: tuple[str, ...]
    episodes: Callable[[], Iterator[Episode]]
    observation: Limits | None = None
    action: Limits | None = None
    control_dt: float = 0.0
    header: Header | None = None
    keys: Sequence[tuple[str, str]] = ()
    notes: LogNotes | None = None
