"""Commands that say what to expect: check, calibration, bench."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from mbtransfer.config.flags import AtLeast, Count, MachineFlags, Seed, TrackerFlags, command


@command
class CheckConfig(MachineFlags):
    """Say how far a model can be trusted with a task or recipe, before running it."""

    model: Path
    """Model folder."""
    task: str | None = None
    """Task: a named one, or one of --task-file. Give this or --recipe."""
    recipe: str | None = None
    """Recipe: the name of a shipped one, or a YAML file. Give this or --task."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    seed: Seed = 0
    """Everything random comes from it."""
    json: Path | None = None
    """File for the findings."""


@command
class CalibrationConfig(MachineFlags, TrackerFlags):
    """Say whether a model's intervals hold what they promise, and whether it errs where its members disagree."""

    model: Path
    """Model folder."""
    data: Path
    """Dataset that it was fitted on: the held-out episodes are used."""
    other_data: Path | None = None
    """Dataset of another kind: for doubts off the data, and about states that --data never visited."""
    seed: Seed = 0
    """Which stretches of the episodes are looked at."""
    json: Path | None = None
    """File for the figures."""


@command
class BenchConfig:
    """Measure how fast this machine plans or fits, beside the limit that its products of matrices set."""

    what: Positional[Literal["planner", "fit", "scaling"]]
    """What to measure: one decision, training, or how a decision grows with what is asked for."""
    planner: str = "cem"
    """Planner of `planner`; `scaling` measures the default one, mppi."""
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
    """Plans compared in each iteration."""
    horizon: Count = 15
    """Control steps that a plan looks ahead."""
    iterations: Count = 5
    """Times the search is narrowed."""
    particles: Count = 5
    """Imagined futures per plan."""
    batch: Count = 256
    """Transitions per member and update, for `fit`."""
    threads: Count = 1
    """Threads for tensors."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products of a plan; `fit` trains in float32."""
    compile: bool = False
    """Let torch.compile fuse the model's steps in `planner`; the first decision then shows the warm-up."""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or cuda:N."""
    seconds: Annotated[float, AtLeast(0.01)] = 5.0
    """How long to measure; `scaling` takes a fifth of it for each point."""
    json: Path | None = None
    """File for the figures."""
    plot: Path | None = None
    """PNG or SVG file for a picture of `scaling`."""


@command
class BenchmarkConfig(TrackerFlags):
    """Run a published protocol from an empty folder to its table of results. Run again to continue."""

    name: Positional[str]
    """Protocol: the name of a shipped one (see docs/results), or a YAML file."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of data, model and episodes; those that are finished are kept."""
    out: Path | None = None
    """Folder of the seeds. None: runs/benchmark/NAME."""
    table: Path | None = None
    """Markdown file for the table. None: results.md in that folder."""
    workers: Count = 1
    """Processes that collect and evaluate."""
