"""The settings of every command: fields are flags, their docstrings the help.

`seeds: tuple[int, ...]` is `--seeds 0 1 2`, `video: bool = True` is `--video` and `--no-video`, `Path | None`
may be left out. `AtLeast` and the like are checked before anything runs.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from tyro.conf import Positional

T = TypeVar("T")


@dataclass(frozen=True)
class AtLeast:
    """The least value that a number may have."""

    value: int | float


@dataclass(frozen=True)
class AtMost:
    """The greatest value that a number may have."""

    value: int | float


Count = Annotated[int, AtLeast(1)]
Seed = Annotated[int, AtLeast(0)]
Share = Annotated[float, AtLeast(0), AtMost(1)]
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
    """Of the model's products. auto: bfloat16 where it is faster here; states and rewards are float32."""
    decision_ms: Annotated[float, AtLeast(0.001)] | None = None
    """Milliseconds that a decision may take: the best plan found by then. None: as long as it takes."""
    discount: Annotated[float, AtLeast(0.001), AtMost(1)] = 1.0
    """Factor on rewards per control step."""
    risk: Literal["mean", "cvar", "optimistic"] = "mean"
    """Which imagined futures of a plan count: all, the worse half or the better half."""
    doubt: float = 0.0
    """Cost per control step of the highest percentile of disagreement seen in validation; below 0 a bonus."""


@dataclass(frozen=True, kw_only=True)
class MachineFlags:
    """What the work is done with."""

    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or cuda:N."""
    threads: Annotated[int, AtLeast(0)] = 0
    """Threads for tensors. 0: as many as PyTorch sees fit (OMP_NUM_THREADS is heeded)."""


@command
class DemoConfig(SearchFlags, MachineFlags):
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
class CollectConfig(SearchFlags):
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
    """Mix, as NAME or NAME=SHARE: noise, reach, babble, planner, oracle, explore. Empty: babble=0.9
    noise=0.05 reach=0.05; with --model babble=0.96 planner=0.03 explore=0.01; with --tasks alone
    babble=0.88 oracle=0.02 noise=0.05 reach=0.05."""
    model: Path | None = None
    """Model folder, for the behaviours planner and explore."""
    locked: tuple[str, ...] = ()
    """Fixtures that cannot be moved while these data are collected."""
    near: Share = 0.5
    """Share of episodes that start with the hand 6 to 20 cm from a handle."""
    episode_steps: Count = 60
    """Control steps per episode."""
    noise: Annotated[float, AtLeast(0)] = 0.2
    """Spread of the noise on planned actions, as a share of half the action range."""
    bonus: Annotated[float, AtLeast(0)] = 1.0
    """Reward of explore for one unit of disagreement."""
    workers: Count = field(default_factory=cores)
    """Processes. The data are the same for any number."""
    json: Path | None = None
    """File for what the dataset then holds."""


@command
class FitConfig(MachineFlags):
    """Fit the shared dynamics and the reward heads to a dataset."""

    data: Path
    """Dataset folder."""
    out: Path
    """Model folder."""
    seed: Seed = 0
    """Everything random comes from it."""
    epochs: Count = 20
    """Passes over the data, each cut short after 250 updates."""
    members: Count = 5
    """Networks in the ensemble."""
    structure: Literal["objects", "dense"] = "objects"
    """One block of weights per object, or one for all."""
    hidden: Count = 64
    """Width of each block's hidden layers."""
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
    batch: Count = 256
    """Transitions per member and update."""
    learning_rate: Annotated[float, AtLeast(0)] = 1e-2
    """Highest learning rate. A wide network needs a lower one."""
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    """Decoupled weight decay: the share by which weights shrink in an update, per unit of learning rate."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products in training. auto: bfloat16 on a GPU that has it, else float32."""
    stream: bool = False
    """Leave the data on the disk and read them while training, as is done anyway where they exceed half the
    memory."""


@command
class EvaluateConfig(DecisionFlags, MachineFlags):
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
    reward: Literal["learned", "true"] = "learned"
    """Plan for learned reward heads, or for the tasks' own rewards."""
    labels: Count | None = None
    """Labelled transitions from which each head is fitted anew. None: the heads of the model."""
    episodes: Count = 10
    """Episodes per task or recipe and seed."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of the episodes."""
    env: str = "kitchen"
    """Environment, where no model names it."""
    workers: Count = field(default_factory=cores)
    """Processes. The results are the same for any number."""
    rows: Path | None = None
    """CSV file to which one line per episode is appended. Run again to continue."""
    json: Path | None = None
    """File for the summary."""


@command
class AdaptConfig(SearchFlags, MachineFlags):
    """Fine-tune a model with a few episodes of a new task, and say what old tasks lost."""

    model: Path
    """Model folder."""
    task: str
    """The new task: a named one, or one of --task-file."""
    episodes: Annotated[int, AtLeast(0)]
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
class PlanConfig(DecisionFlags, MachineFlags):
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
class CalibrationConfig(MachineFlags):
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
class DatasetConfig:
    """Say what a dataset holds: behaviours, coverage, damage."""

    dir: Positional[Path]
    """Dataset folder."""
    json: Path | None = None
    """File for the description."""


COMMANDS: dict[str, type] = {
    "demo": DemoConfig,
    "collect": CollectConfig,
    "fit": FitConfig,
    "evaluate": EvaluateConfig,
    "adapt": AdaptConfig,
    "plan": PlanConfig,
    "check": CheckConfig,
    "calibration": CalibrationConfig,
    "report": ReportConfig,
    "tasks": TasksConfig,
    "dataset": DatasetConfig,
}
"""Every command and its settings, in the order of the help."""
