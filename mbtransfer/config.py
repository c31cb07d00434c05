"""Settings of every command: fields are flags, field docstrings are their help."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from annotated_types import Ge, Le
from tyro.conf import Positional

from mbtransfer.errors import UserError

T = TypeVar("T")


Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Split = Literal["source", "held_out", "recipes", "all"]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def command(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose own fields come before the inherited ones, as they should in the help."""
    made = dataclass(frozen=True, kw_only=True)(cls)
    fields: dict[str, Any] = made.__dataclass_fields__  # type: ignore[attr-defined]
    own = {name: fields[name] for name in cls.__annotations__}
    made.__dataclass_fields__ = own | fields  # type: ignore[attr-defined]
    made.__pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # type: ignore[attr-defined]
    return made


@dataclass(frozen=True, kw_only=True)
class SearchFlags:
    """How plans are searched for."""

    planner: str = "mppi"
    """Planner: mppi, icem, cem, random_shooting, gradient or hybrid (the last two need a learned model)."""
    particles: Count = 2
    """Imagined futures per plan, each following one member of the ensemble."""
    horizon: Count | None = None
    """Control steps that a plan looks ahead. None: the planner's own choice."""
    candidates: Count | None = None
    """Plans compared in each iteration. None: the planner's own choice."""
    iterations: Count | None = None
    """Times the search is narrowed. None: the planner's own choice."""


@dataclass(frozen=True, kw_only=True)
class DecisionFlags(SearchFlags):
    """How one plan is judged, and how long it may take."""

    settings: tuple[str, ...] = ()
    """Other settings of the planner, as NAME=VALUE: knots=4 temperature=0.3 (an unknown name lists them)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the model's products. auto: as the rows that are continued, else bfloat16 where the hardware has
    instructions for it; states and rewards are float32."""
    compile: bool = False
    """Let torch.compile fuse the model's steps: seconds of warm-up for quicker decisions (see `mbtransfer speed`)."""
    decision_ms: Annotated[float, Ge(0.001)] | None = None
    """Milliseconds that a decision may take: the best plan found by then. None: as long as it takes. For
    planners of several rounds: one is always done."""
    discount: Annotated[float, Ge(0.001), Le(1)] = 1.0
    """Factor on rewards per control step."""
    risk: Literal["mean", "cvar", "optimistic"] = "mean"
    """Which imagined futures of a plan count: all, the worse half or the better half."""
    uncertainty_penalty: float = 0.0
    """Cost per control step of the highest percentile of disagreement seen in validation; below 0 a bonus."""
    retry_after: Count | None = None
    """Control steps without a gain after which the robot goes back to how it began, and tries again: for
    long tries, as in the Franka kitchen (20). None: never."""
    prepared: bool = True
    """Use what `mbtransfer prepare` made for a task, where it is there: the policy's proposals among the plans, and
    the value at the end of the horizon."""


@dataclass(frozen=True, kw_only=True)
class EngineFlags:
    """Where many pieces of work are done."""

    workers: Count = field(default_factory=cores)
    """Processes, or tasks of a cluster at a time. The results are the same for any number."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or a Ray cluster (extra ray)."""
    address: str = "auto"
    """Ray cluster. auto: the one that runs here; local: begin one on this machine; ray://HOST:10001 from afar."""


@dataclass(frozen=True, kw_only=True)
class MachineFlags:
    """What the work is done with."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or cuda:N."""
    threads: Annotated[int, Ge(0)] = 0
    """Threads for tensors. 0: as many as PyTorch sees fit (OMP_NUM_THREADS is heeded)."""


@dataclass(frozen=True, kw_only=True)
class TrustFlags:
    """Whether what is read may run code."""

    trust_code: bool = False
    """Run the Python file or module that a model, dataset or protocol names as its environment; its path and
    checksum are shown first. Without it, nothing that is read runs code."""


@dataclass(frozen=True, kw_only=True)
class TrackerFlags:
    """Who keeps track of curves, tables, results and files; see docs/tracking.md."""

    tracker: Literal["none", "wandb", "tensorboard"] = "none"
    """Keeps curves, tables and lineage beside the files that are written anyway."""
    tracker_mode: Literal["online", "offline", "disabled"] | None = None
    """Of W&B. None: WANDB_MODE, else online. Without a login or an answer the run is kept offline."""
    tracker_project: str | None = None
    """None: WANDB_PROJECT, else mbtransfer."""
    tracker_group: str | None = None
    """None: WANDB_RUN_GROUP, else one for all runs that differ in seeds and places only."""
    tracker_name: str | None = None
    """None: WANDB_NAME, else the command, its output and its seed."""


@command
class DemoConfig(SearchFlags, MachineFlags, TrackerFlags):
    """Collect, fit, solve tasks and recipes that nobody trained for, and write a report: minutes."""

    out: Path
    """Folder for the data, the model, the rows, the videos and report.html."""
    seed: Seed = 0
    """Everything random comes from it."""
    env: str = "kitchen"
    """Environment."""
    steps: Count = 200_000
    """Control steps to collect."""
    episodes: Count = 5
    """Episodes per task and recipe."""
    workers: Count = field(default_factory=cores)
    """Processes that collect. The data are the same for any number."""
    video: bool = True
    """Film recipes, where there is a renderer."""


@command
class CollectConfig(SearchFlags, EngineFlags, TrackerFlags):
    """Collect pooled data: append episodes of several behaviours to a dataset. Run again to continue."""

    out: Path
    """Dataset folder: new, or one to be continued."""
    env: str = "kitchen"
    """Environment."""
    tasks: tuple[str, ...] = ()
    """Tasks that the planning behaviours are rewarded for. Empty: all source tasks."""
    steps: Count = 200_000
    """Control steps in all, rounded up to whole episodes."""
    seed: Seed = 0
    """Another seed adds other episodes to the same dataset."""
    behaviours: tuple[str, ...] = ()
    """Mix, as NAME or NAME=SHARE: noise, reach, babble, planner, oracle, explore, goals. Empty: babble=0.9
    noise=0.05 reach=0.05; with --model babble=0.96 planner=0.03 explore=0.01; with --tasks alone
    babble=0.88 oracle=0.02 noise=0.05 reach=0.05. Without fixtures: noise; with --model planner=0.6 explore=0.3
    noise=0.1; with --tasks alone noise=0.5 oracle=0.5."""
    model: Path | None = None
    """Model folder, for the behaviours planner, explore and goals."""
    locked: tuple[str, ...] = ()
    """Fixtures that cannot be moved while these data are collected."""
    near: Share = 0.5
    """Share of episodes that start with the hand 6 to 20 cm from a handle."""
    episode_steps: Count = 60
    """Control steps per episode."""
    noise: Annotated[float, Ge(0)] = 0.2
    """Spread of the noise on planned actions, as a share of half the action range."""
    settings: tuple[str, ...] = ()
    """Other settings of the planner, as NAME=VALUE: knots=4."""
    replan: Count = 1
    """Control steps between two decisions; the plan is followed in between."""
    chain: bool = False
    """Go on with another task, drawn at random, once one is done. For planning behaviours."""
    branches: Annotated[int, Ge(0)] = 0
    """Side branches of 12 steps taken from each planned episode: its actions with more noise. Besides --steps."""
    prepared: bool = True
    """Let planner and explore use what `mbtransfer prepare` made for all of their tasks, if it did."""
    bonus: Annotated[float, Ge(0)] = 1.0
    """Reward of explore for one unit of disagreement."""
    json: Path | None = None
    """File for what the dataset then holds."""


@command
class FitConfig(MachineFlags, TrackerFlags, TrustFlags):
    """Fit the shared dynamics and the reward heads to a dataset."""

    data: Path
    """Dataset folder."""
    out: Path
    """Model folder."""
    seed: Seed = 0
    """Everything random comes from it."""
    epochs: Count | None = None
    """Passes over the data, each cut short after 250 updates. None: 20, or 80 where there are no objects."""
    members: Count = 5
    """Networks in the ensemble."""
    structure: Literal["objects", "shared", "attention", "dense"] | None = None
    """One block of weights per object, the same weights for all objects, blocks with attention between them, or one
    block for all. A model of blocks that share weights or hear of each other cannot be adapted.
    None: objects, or dense where there are none."""
    hidden: Count | None = None
    """Width of each block's hidden layers. None: 64, or 256 where there are no objects."""
    layers: Count = 2
    """Hidden layers of each block."""
    head: Literal["deterministic", "gaussian"] = "deterministic"
    """Predict a mean, or a mean and a variance."""
    loss: Literal["huber", "mse", "nll", "beta_nll"] = "huber"
    """Loss on normalised changes. The likelihoods nll and beta_nll need --head gaussian."""
    rollout_steps: Count = 1
    """Control steps over which the loss follows the model's own predictions; an update takes as many times
    longer. 1: every prediction starts from data."""
    choose: Literal["loss", "rollout"] = "loss"
    """What tells the best epoch of each member, on held-out episodes: the loss, or the error of roll-outs."""
    moving: Share = 0.0
    """Share of each batch in which an object moves, each object as often. 0: transitions as they come."""
    batch: Count = 256
    """Transitions per member and update."""
    learning_rate: Annotated[float, Ge(0)] | None = None
    """Highest learning rate; a wide network needs a lower one. None: 0.01, or 0.001 where there are no objects."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Decoupled weight decay: the share by which weights shrink in an update, per unit of learning rate."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products in training. auto: bfloat16 on a GPU that has it, else float32."""
    stream: bool = False
    """Leave the data on the disk and read them while training, as is done anyway where they exceed half the
    memory."""
    json: Path | None = None
    """File for the curve and the errors."""


@command
class PrepareConfig(MachineFlags, TrackerFlags, TrustFlags):
    """Train a policy and a value for tasks without a step in them, so that plans are judged beyond their horizon."""

    model: Path
    """Model folder; what is prepared is kept in it."""
    tasks: tuple[str, ...] = ()
    """Tasks by name: named ones, or those of --task-file."""
    split: Split | None = None
    """What to add to the named ones. None: nothing, or all where nothing is named."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    seconds: Annotated[float, Ge(0)] = 60.0
    """Most time for each task."""
    updates: Count | None = None
    """Stop after as many updates, if that comes first: the result then does not depend on the clock."""
    method: Literal["imagination", "pool"] = "imagination"
    """Learn from roll-outs through the ensemble, or from the model's relabelled pool alone (implicit Q-learning)."""
    uncertainty_penalty: Annotated[float, Ge(0)] = 0.0
    """Reward lost in imagination where two members differ by twice of what is usual, as a share of the labels' range.
    Where a policy makes do with what the model only imagines, 0.5 helps; elsewhere it costs."""
    labels: Count | None = None
    """Labelled transitions behind each reward. None: the heads of the model."""
    seed: Seed = 0
    """Everything random comes from it."""


@command
class AdaptConfig(SearchFlags, MachineFlags, TrackerFlags, TrustFlags):
    """Fine-tune a model with a few episodes of a new task, and say what old tasks lost."""

    model: Path
    """Model folder."""
    task: str
    """The new task: a named one, or one of --task-file."""
    episodes: Annotated[int, Ge(0)]
    """Episodes in the new task."""
    out: Path
    """Folder of the adapted model."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    seed: Seed = 0
    """Everything random comes from it."""
    json: Path | None = None
    """File for the report."""


@command
class CheckConfig(MachineFlags, TrustFlags):
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
class CalibrationConfig(MachineFlags, TrackerFlags, TrustFlags):
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
class SpeedConfig:
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
    seconds: Annotated[float, Ge(0.01)] = 5.0
    """How long to measure; `scaling` takes a fifth of it for each point."""
    json: Path | None = None
    """File for the figures."""
    plot: Path | None = None
    """PNG or SVG file for a picture of `scaling`."""


@command
class ReproduceConfig(TrackerFlags, TrustFlags):
    """Run a published protocol from an empty folder to its table of results. Run again to continue."""

    name: Positional[str]
    """Protocol: the name of a shipped one (see docs/results), or a YAML file."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of data, model and episodes; those that are finished are kept."""
    out: Path | None = None
    """Folder of the seeds. None: runs/reproduce/NAME."""
    table: Path | None = None
    """Markdown file for the table. None: results.md in that folder."""
    workers: Count = 1
    """Processes that collect and evaluate."""


@command
class EvaluateConfig(DecisionFlags, EngineFlags, MachineFlags, TrackerFlags, TrustFlags):
    """Measure success on tasks and recipes, with intervals."""

    model: Path | None = None
    """Model folder. Needed unless --dynamics oracle and --reward true."""
    tasks: tuple[str, ...] = ()
    """Tasks by name: named ones, or those of --task-file."""
    recipes: tuple[str, ...] = ()
    """Recipes: names of shipped ones, or YAML files."""
    split: Split | None = None
    """What to add to the named ones. None: nothing, or all where nothing is named."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    dynamics: Literal["learned", "oracle"] = "learned"
    """Plan in the learned model, or in the true simulator (the upper bound)."""
    reward: Literal["learned", "true", "distance"] = "learned"
    """Plan for learned reward heads, for the tasks' own rewards, or as a control for the nearness of hand and
    handle alone: what that solves is solved by bumping into things."""
    labels: Count | None = None
    """Labelled transitions from which each head is fitted anew. None: the heads of the model."""
    episodes: Count = 10
    """Episodes per task or recipe and seed."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of the episodes."""
    env: str = "kitchen"
    """Environment, where no model names it."""
    rows: Path | None = None
    """CSV file to which one line per episode is appended. Run again to continue."""
    json: Path | None = None
    """File for the summary."""


@command
class PlanConfig(DecisionFlags, MachineFlags, TrustFlags):
    """Run one task or recipe now, and watch."""

    model: Path | None = None
    """Model folder. Needed unless --dynamics oracle and --reward true."""
    task: str | None = None
    """Task: a named one, or one of --task-file. Give this or --recipe."""
    recipe: str | None = None
    """Recipe: the name of a shipped one, or a YAML file. Give this or --task."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    dynamics: Literal["learned", "oracle"] = "learned"
    """Plan in the learned model, or in the true simulator."""
    reward: Literal["learned", "true"] = "learned"
    """Plan for learned reward heads, or for the tasks' own rewards."""
    labels: Count | None = None
    """Labelled transitions from which each head is fitted anew. None: the heads of the model."""
    seed: Seed = 0
    """Seed of the episode."""
    env: str = "kitchen"
    """Environment, where no model names it."""
    video: Path | None = None
    """MP4 file to film to."""
    json: Path | None = None
    """File for the result."""


@command
class ReportConfig:
    """Write report.html from the rows and summaries in a folder."""

    dir: Positional[Path]
    """Folder of a demo or an evaluation."""


@command
class TasksConfig:
    """List the tasks with their split, the recipes and the fixtures of an environment."""

    env: str = "kitchen"
    """Environment."""
    json: Path | None = None
    """File for the list."""


@command
class DatasetInfoConfig(TrustFlags):
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
    control_dt: Annotated[float, Ge(0)] | None = None
    """Seconds per control step, where the environment is none of ours. None: what the source says, else 0."""


@command
class DatasetExportConfig:
    """Write a dataset as a Minari dataset, from which it can be imported again bit for bit."""

    dir: Positional[Path]
    """Dataset folder."""
    target: Positional[str]
    """minari:NAME-vN, which must be new; it goes to Minari's folder (MINARI_DATASETS_PATH)."""


@command
class DatasetStripConfig(TrustFlags):
    """Copy a dataset without the transitions in which some fixtures move: a control for claims of transfer."""

    dir: Positional[Path]
    """Dataset folder."""
    out: Path
    """Folder of the copy; run again to continue."""
    fixtures: tuple[str, ...] = ()
    """What must stand still, by name: a transition in which one of them moves is left out."""
    tasks: tuple[str, ...] = ()
    """The fixtures of these tasks as well."""


@command
class SweepConfig(EngineFlags):
    """Run a W&B sweep file here or on a Ray cluster, without an account. Run again to continue."""

    file: Positional[Path]
    """Sweep file, in W&B's format; see examples/sweeps."""
    count: Count | None = None
    """Trials in all. None: run_cap in the file, else the whole grid."""
    out: Path | None = None
    """Folder for trials, results.csv and sweep.png. None: runs/sweeps/ and the file's name."""
    seed: Seed = 0
    """Of the search: random and bayes draw from it."""
    workers: Count = 1
    """Trials at a time; they share the cores. grid and random try the same for any number."""


__all__ = [
    "COMMANDS",
    "AdaptConfig",
    "CalibrationConfig",
    "CheckConfig",
    "CollectConfig",
    "DatasetExportConfig",
    "DatasetImportConfig",
    "DatasetInfoConfig",
    "DatasetStripConfig",
    "DecisionFlags",
    "DemoConfig",
    "EvaluateConfig",
    "FitConfig",
    "MachineFlags",
    "PlanConfig",
    "PrepareConfig",
    "ReportConfig",
    "ReproduceConfig",
    "SearchFlags",
    "SpeedConfig",
    "SweepConfig",
    "TasksConfig",
    "TrackerFlags",
    "TrustFlags",
    "cores",
]  # fmt: skip

COMMANDS: dict[str, type] = {
    "demo": DemoConfig,
    "collect": CollectConfig,
    "fit": FitConfig,
    "evaluate": EvaluateConfig,
    "prepare": PrepareConfig,
    "adapt": AdaptConfig,
    "plan": PlanConfig,
    "check": CheckConfig,
    "calibration": CalibrationConfig,
    "sweep": SweepConfig,
    "speed": SpeedConfig,
    "reproduce": ReproduceConfig,
    "report": ReportConfig,
    "tasks": TasksConfig,
    "dataset info": DatasetInfoConfig,
    "dataset import": DatasetImportConfig,
    "dataset export": DatasetExportConfig,
    "dataset strip": DatasetStripConfig,
}
"""Every command and its settings, in the order of the help. Of two words: a command of a group."""


def parse_settings(settings: Sequence[str]) -> dict[str, int | float]:
    """NAME=VALUE pairs.

    Raises:
        UserError: not of that form.
    """
    found: dict[str, int | float] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UserError(f"--settings {text!r} is not NAME=NUMBER, such as knots=4")
    return found
