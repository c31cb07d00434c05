"""Settings of the commands that examine: check, diagnose, calibration, sweep, speed, reproduce, report, tasks."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge
from tyro.conf import Positional

from mbtransfer.config.flags import (
    Count,
    EngineFlags,
    MachineFlags,
    SearchFlags,
    Seed,
    TrackerFlags,
    TrustFlags,
    command,
    cores,
)


@command
class CheckConfig(MachineFlags, TrustFlags):
    """Estimate how far a model can be trusted with a task or recipe, before running it."""

    model: Path
    """Model folder."""
    task: str | None = None
    """Task by name, from --task-file, a label file (.csv), or such as "move(drawer, 0.2)"; give this or --recipe."""
    recipe: str | None = None
    """Recipe: the name of a shipped one, or a YAML file; give this or --task."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    seed: Seed = 0
    """Random seed."""
    json: Path | None = None
    """JSON file for the findings."""


@command
class DiagnoseConfig(SearchFlags, MachineFlags, TrustFlags):
    """Find out whether a task fails because of its reward head, the model or the search."""

    model: Path
    """Model folder."""
    task: str | None = None
    """Task by name, from --task-file, or such as "move(drawer, 0.2)". None: the only task of --task-file."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    labels: Count | None = None
    """Labelled transitions used to fit the reward head. None: 10,000, or the whole pool if it is smaller."""
    episodes: Count = 10
    """Episodes for each of the eight combinations; all begin at the same starts."""
    seed: Seed = 0
    """Seed of the episodes."""
    workers: Count = field(default_factory=cores)
    """Parallel processes."""
    json: Path | None = None
    """JSON file for the findings."""


@command
class CalibrationConfig(MachineFlags, TrackerFlags, TrustFlags):
    """Measure whether a model's intervals are calibrated, and whether its disagreement predicts its errors."""

    model: Path
    """Model folder."""
    data: Path
    """Dataset that the model was fitted to; its held-out episodes are used."""
    other_data: Path | None = None
    """Another dataset, to test uncertainty off the training data and in states never visited. None: no such test."""
    seed: Seed = 0
    """Random seed for sampling segments of episodes."""
    json: Path | None = None
    """JSON file for the results."""


@command
class SweepConfig(EngineFlags):
    """Run a W&B sweep file here or on a Ray cluster, without a W&B account. Run again to continue."""

    file: Positional[Path]
    """Sweep file in W&B's format; see examples/sweeps."""
    count: Count | None = None
    """Total number of trials. None: run_cap in the file, otherwise the whole grid."""
    out: Path | None = None
    """Folder for the trials, results.csv and sweep.png. None: runs/sweeps/ and the file's name."""
    seed: Seed = 0
    """Random seed of the search methods random and bayes."""
    workers: Count = 1
    """Trials at a time, which share the cores; grid and random try the same settings for any number."""


@command
class SpeedConfig:
    """Measure the speed of planning or fitting on this machine, relative to the limit of its matrix products."""

    what: Positional[Literal["planner", "fit", "scaling"]]
    """What to measure: one decision (planner), training (fit), or how decision time grows with size (scaling)."""
    planner: str = "cem"
    """Planner to measure with `planner`; `scaling` always measures mppi."""
    members: Count = 5
    """Networks in the ensemble."""
    hidden: Count = 200
    """Width of the hidden layers."""
    layers: Count = 4
    """Hidden layers."""
    obs: Count = 17
    """Observation columns."""
    act: Count = 6
    """Action columns."""
    candidates: Count = 500
    """Candidate plans per iteration."""
    horizon: Count = 15
    """Control steps that a plan looks ahead."""
    iterations: Count = 5
    """Iterations of the search."""
    particles: Count = 5
    """Imagined futures (particles) per plan."""
    batch: Count = 256
    """Transitions per member and update, for `fit`."""
    threads: Count = 1
    """CPU threads of PyTorch."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the matrix products in planning; `fit` always trains in float32."""
    compile: bool = False
    """Compile the model with torch.compile in `planner`; the warm-up time then includes the compilation."""
    device: str = "auto"
    """Device for tensors: auto (a GPU if there is one), cpu, cuda or cuda:N."""
    seconds: Annotated[float, Ge(0.01)] = 5.0
    """Duration of the measurement in seconds; `scaling` takes a fifth of it for each point."""
    json: Path | None = None
    """JSON file for the results."""
    plot: Path | None = None
    """PNG or SVG file for a plot of `scaling`."""


@command
class ReproduceConfig(TrackerFlags, TrustFlags):
    """Run a published protocol from an empty folder to its table of results. Run again to continue."""

    name: Positional[str]
    """Protocol: the name of a shipped one (see docs/results), or a YAML file."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of data, model and episodes; finished seeds are not run again."""
    out: Path | None = None
    """Folder for the runs, one subfolder per seed. None: runs/reproduce/NAME."""
    table: Path | None = None
    """Markdown file for the table of results. None: results.md in the folder of the runs."""
    workers: Count = 1
    """Parallel processes for collection and evaluation."""


@command
class ReportConfig:
    """Write report.html from the rows and summaries in a results folder."""

    dir: Positional[Path]
    """Results folder of a demo or an evaluation."""


@command
class TasksConfig:
    """List the tasks of an environment by split, and its recipes and fixtures."""

    env: str = "kitchen"
    """Name of the environment."""
    json: Path | None = None
    """JSON file for the list."""
