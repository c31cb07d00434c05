"""Settings of the commands for data and models as files: dataset, push, pull, verify."""

from pathlib import Path
from typing import Annotated

from annotated_types import Ge, MinLen
from tyro.conf import Positional

from mbtransfer.config.flags import Count, EngineFlags, MachineFlags, TrustFlags, command


@command
class DatasetInfoConfig(TrustFlags):
    """Describe a dataset: behaviours, coverage, moved fixtures, rewards of every task, damage."""

    dir: Positional[Path]
    """Dataset folder."""
    json: Path | None = None
    """JSON file for the description."""
    plot: Path | None = None
    """PNG or SVG file for a plot of each column's histogram and of where each fixture was moved."""


@command
class DatasetImportConfig:
    """Append logs of a robot, or episodes from Minari, OGBench, robomimic or D4RL, to a dataset."""

    source: Positional[str]
    """lerobot:FOLDER, csv:FILE, parquet:FILE or mcap:FILE (or a folder of them), minari:NAME (downloaded if needed),
    ogbench:FILE.npz, a robomimic file (.hdf5), or an archive of arrays (.npz)."""
    out: Path
    """Dataset folder, new or existing."""
    env: str | None = None
    """Name of the environment, such as file:my_arm.yaml; the sizes must fit if it is a known one.
    None: the name in the source."""
    mapping: Path | None = None
    """YAML file that says which column of a log is which; see docs/logs.md. None: columns are called the same."""
    keys: tuple[str, ...] = ()
    """Parts of dictionary observations (features of LeRobot) to keep, in this order.
    Empty: all except images, only `observation` in a goal environment, or `observation.state` of LeRobot."""
    control_dt: Annotated[float, Ge(0)] | None = None
    """Seconds per control step of an unknown environment. None: the value in the source, or 0 if it has none."""


@command
class DatasetExportConfig:
    """Export a dataset to Minari or LeRobot; importing it again restores it bit for bit."""

    dir: Positional[Path]
    """Dataset folder."""
    target: Positional[str]
    """lerobot:FOLDER, a new folder in LeRobot's format v3.0; or minari:NAME-vN, a new name in Minari's folder
    (MINARI_DATASETS_PATH)."""


@command
class DatasetStripConfig(TrustFlags):
    """Copy a dataset without the transitions in which given fixtures move, to test claims of transfer."""

    dir: Positional[Path]
    """Dataset folder."""
    out: Path
    """Folder for the copy. Run again to continue."""
    fixtures: tuple[str, ...] = ()
    """Names of fixtures; every transition in which one of them moves is left out."""
    tasks: tuple[str, ...] = ()
    """Names of tasks whose fixtures are treated in the same way."""


@command
class PushConfig(MachineFlags, TrustFlags):
    """Put a model or dataset in a folder or on the Hugging Face Hub, with a card of what was measured."""

    dir: Positional[Path]
    """Folder of a model or dataset."""
    target: Positional[str]
    """A new folder, or hf:OWNER/NAME, a repository on the Hub (needs the extra hub)."""
    results: tuple[Path, ...] = ()
    """Rows of `evaluate --rows`, or folders with them, whose figures the card shows. Empty: the card claims nothing."""
    data: Path | None = None
    """Dataset that the model was fitted on, for models that were fitted before they noted its episodes."""
    name: str | None = None
    """Title of the card. None: the name of the folder."""
    licence: str | None = None
    """Identifier of the licence, such as mit or cc-by-4.0. None: the card says that none is stated."""
    check: bool = True
    """Run `check` on every task of the environment, for the limits that the card tells."""
    public: bool = False
    """Let everybody see a repository that is made on the Hub; an existing one stays as it is."""


@command
class PullConfig:
    """Fetch a model or dataset that was pushed, and check every file."""

    source: Positional[str]
    """Folder that was pushed, or hf:OWNER/NAME, or hf:OWNER/NAME@REVISION (needs the extra hub)."""
    dir: Positional[Path]
    """New folder for it."""


@command
class VerifyConfig(EngineFlags, MachineFlags, TrustFlags):
    """Measure again what the card of a model claims; exit code 1 if a figure is outside."""

    dir: Positional[Path]
    """Folder of a model or dataset with its card."""
    tasks: tuple[str, ...] = ()
    """Tasks and recipes to measure. Empty: all of the card."""
    episodes: Count | None = None
    """Episodes per task and seed. None: as many as the card's."""
    seeds: str = "card"
    """card: the seeds of the card; new: as many new ones, drawn now; a number: as many, counted from there."""
    card: Annotated[str, MinLen(8)] | None = None
    """Checksum that the card must have, or its first 8 or more digits, as you know it from elsewhere."""
    recipes: tuple[str, ...] = ()
    """YAML files of recipes in the card that do not come with the package."""
    task_file: Path | None = None
    """Python file that defines tasks in the card that are the author's own."""
    out: Path | None = None
    """Folder for the new rows. None: they are not kept. Run again to continue."""
    json: Path | None = None
    """JSON file for the comparison."""
