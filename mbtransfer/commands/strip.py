"""`mbtransfer dataset strip`: a copy in which some fixtures never move."""

from rich.console import Console

from mbtransfer.config import DatasetStripConfig
from mbtransfer.dataset import Dataset
from mbtransfer.dataset.strip import strip
from mbtransfer.errors import UserError
from tasks.registry import make


def run_strip(config: DatasetStripConfig) -> None:
    """Write the copy, and say what was left out.

    Raises:
        UserError: no fixtures named, no dataset, or a folder that holds something else.
        TaskError: an unknown fixture or task, or one that names no fixture.
    """
    dataset = Dataset.open(config.dir)
    environment = make(dataset.header.env)
    fixtures = [environment.spec.fixture(name) for name in config.fixtures]
    for name in config.tasks:
        moved = environment.task(name).fixtures
        if not moved:
            raise UserError(f"task {name} names no fixture that it moves; give --fixtures")
        fixtures += moved
    if not fixtures:
        raise UserError("nothing to strip; name what must stand still with --fixtures or --tasks")
    if config.out.resolve() == config.dir.resolve():
        raise UserError(f"--out {config.out} is the dataset itself; give another folder")
    copy = Dataset.open_or_create(config.out, dataset.header)
    left_out = strip(dataset.pool, fixtures, copy)
    names = ", ".join(dict.fromkeys(fixture.name for fixture in fixtures))
    Console().print(
        f"{config.out}: {copy.steps:,} of {dataset.steps:,} control steps; {left_out:,} in which {names} moved "
        "were left out", highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
