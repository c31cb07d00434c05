"""Commands about datasets: what one holds, data of other formats in and out, and without some movements."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from mbtransfer.config.flags import AtLeast, command


@command
class DatasetInfoConfig:
    """Say what a dataset holds: behaviours, coverage, fixtures moved, rewards of every task, damage."""

    dir: Positional[Path]
    """Dataset folder."""
    json: Path | None = None
    """File for the description."""
    plot: Path | None = None
    """PNG or SVG file for a picture: every column's histogram, and where each fixture was moved."""


@command
class DatasetImportConfig:
    """Append episodes of another format to a dataset: Minari's, robomimic's, or D4RL's arrays."""

    source: Positional[str]
    """minari:NAME (downloaded if it is not here), a robomimic file (.hdf5), or an archive of arrays (.npz)."""
    out: Path
    """Dataset folder: new, or one to be added to."""
    env: str | None = None
    """Environment. One of ours: the sizes must fit. None: what the source says."""
    keys: tuple[str, ...] = ()
    """Parts of dict observations to keep, in this order. Empty: all but pictures; of a goal environment
    `observation` alone."""
    control_dt: Annotated[float, AtLeast(0)] | None = None
    """Seconds per control step, where the environment is none of ours. None: what the source says, else 0."""


@command
class DatasetExportConfig:
    """Write a dataset as a Minari dataset, from which it can be imported again bit for bit."""

    dir: Positional[Path]
    """Dataset folder."""
    target: Positional[str]
    """minari:NAME-vN, which must be new; it goes to Minari's folder (MINARI_DATASETS_PATH)."""


@command
class DatasetStripConfig:
    """Copy a dataset without the transitions in which some fixtures move: a control for claims of transfer."""

    dir: Positional[Path]
    """Dataset folder."""
    out: Path
    """Folder of the copy; run again to continue."""
    fixtures: tuple[str, ...] = ()
    """What must stand still, by name: a transition in which one of them moves is left out."""
    tasks: tuple[str, ...] = ()
    """The fixtures of these tasks as well."""
