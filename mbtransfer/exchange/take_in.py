"""Import: look at every episode first, write only if all of them can be used."""

from dataclasses import dataclass
from pathlib import Path

from mbtransfer.dataset import Dataset
from mbtransfer.dataset.manifest import is_dataset, read_header
from mbtransfer.dataset.refuse import refuse_unfit
from mbtransfer.exchange.complete import completed, environment_of, refuse_program
from mbtransfer.exchange.header import header_of, same_but_ranges, survey
from mbtransfer.exchange.source import Source
from mbtransfer.exchange.units import cut


@dataclass(frozen=True)
class Taken:
    """What an import has done: episodes and steps added, and episodes that were there before."""

    dataset: Dataset
    episodes: int
    steps: int
    before: int


def take_in(source: Source, out: Path, env: str | None = None, control_dt: float | None = None) -> Taken:
    """Append all episodes of a source to a dataset; again adds nothing, after a kill it continues.

    Args:
        source: what to import.
        out: folder of the dataset, new or to be added to.
        env: name of the environment; None is what the source tells.
        control_dt: seconds per control step of an environment that is not ours; None is what the source tells.

    Raises:
        UserError: an episode that cannot be used, or a dataset of something else. Nothing is written then.
    """
    if source.header and env in (None, source.header.env):
        if env is None:
            refuse_program(source.name, source.header.env)
        found, header = survey(source), source.header
    else:
        name, known = environment_of(source, env)
        source = source if known is None else completed(source, known)
        found = survey(source)
        header = header_of(source, found, (name, known), control_dt)
        if known is None and is_dataset(out):
            present = read_header(out)  # its ranges were taken from what was imported first
            header = present if same_but_ranges(present, header) else header
    for _, episodes in cut(source):
        refuse_unfit(episodes, header)
    dataset = Dataset.open_or_create(out, header)
    added = steps = 0
    for key, episodes in cut(source):
        if dataset.append(episodes, key):
            added, steps = added + len(episodes), steps + sum(map(len, episodes))
    return Taken(dataset, added, steps, found.episodes - added)
