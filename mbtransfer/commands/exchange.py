"""`mbtransfer dataset import` and `export`: data of other formats in, and out as Minari's."""

from rich.console import Console

from mbtransfer.config import DatasetExportConfig, DatasetImportConfig
from mbtransfer.dataset import Dataset
from mbtransfer.errors import UserError
from mbtransfer.exchange import export_minari, find_source, take_in
from mbtransfer.exchange.find import MINARI


def run_import(config: DatasetImportConfig) -> None:
    """Append the episodes of a source to a dataset, and say how many.

    Raises:
        UserError: a source that cannot be read or does not fit; nothing is written then.
    """
    taken = take_in(find_source(config.source, config.keys), config.out, config.env, config.control_dt)
    before = f"; {taken.before:,} were there before" if taken.before else ""
    header = taken.dataset.header
    sizes = f"{len(header.observation)} observation, {len(header.action)} action"
    _say(f"imported {taken.episodes:,} episodes with {taken.steps:,} control steps{before}")
    _say(f"{config.out}: {header.env}, {sizes} columns, {header.state_size} state values")
    _say(f"next: mbtransfer dataset info {config.out}")


def run_export(config: DatasetExportConfig) -> None:
    """Write a dataset as a Minari dataset, and say where it is.

    Raises:
        UserError: no dataset, another kind of target, or a name that is taken.
    """
    if not config.target.startswith(MINARI):
        raise UserError(f"cannot export to {config.target!r}; give {MINARI}NAME-vN")
    dataset = Dataset.open(config.dir)
    folder = export_minari(dataset, config.target.removeprefix(MINARI))
    _say(f"exported {len(dataset):,} episodes with {dataset.steps:,} control steps to {folder}")


def _say(line: str) -> None:
    Console().print(line, highlight=False, soft_wrap=True, markup=False)
