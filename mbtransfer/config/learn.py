"""Commands that gather and learn: demo, collect, fit, prepare, adapt."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from mbtransfer.config.flags import (
    AtLeast,
    Count,
    EngineFlags,
    MachineFlags,
    SearchFlags,
    Seed,
    Share,
    Split,
    TrackerFlags,
    command,
    cores,
)


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
    noise: Annotated[float, AtLeast(0)] = 0.2
    """Spread of the noise on planned actions, as a share of half the action range."""
    settings: tuple[str, ...] = ()
    """Other settings of the planner, as NAME=VALUE: knots=4."""
    replan: Count = 1
    """Control steps between two decisions; the plan is followed in between."""
    chain: bool = False
    """Go on with another task, drawn at random, once one is done. For planning behaviours."""
    branches: Annotated[int, AtLeast(0)] = 0
    """Side branches of 12 steps taken from each planned episode: its actions with more noise. Besides --steps."""
    prepared: bool = True
    """Let planner and explore use what `mbtransfer prepare` made for all of their tasks, if it did."""
    bonus: Annotated[float, AtLeast(0)] = 1.0
    """Reward of explore for one unit of disagreement."""
    json: Path | None = None
    """File for what the dataset then holds."""


@command
class FitConfig(MachineFlags, TrackerFlags):
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
    learning_rate: Annotated[float, AtLeast(0)] | None = None
    """Highest learning rate; a wide network needs a lower one. None: 0.01, or 0.001 where there are no objects."""
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    """Decoupled weight decay: the share by which weights shrink in an update, per unit of learning rate."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products in training. auto: bfloat16 on a GPU that has it, else float32."""
    stream: bool = False
    """Leave the data on the disk and read them while training, as is done anyway where they exceed half the
    memory."""
    json: Path | None = None
    """File for the curve and the errors."""


@command
class PrepareConfig(MachineFlags, TrackerFlags):
    """Train a policy and a value for tasks without a step in them, so that plans are judged beyond their horizon."""

    model: Path
    """Model folder; what is prepared is kept in it."""
    tasks: tuple[str, ...] = ()
    """Tasks by name: named ones, or those of --task-file."""
    split: Split | None = None
    """What to add to the named ones. None: nothing, or all where nothing is named."""
    task_file: Path | None = None
    """Python file that defines tasks of your own."""
    seconds: Annotated[float, AtLeast(0)] = 60.0
    """Most time for each task."""
    updates: Count | None = None
    """Stop after as many updates, if that comes first: the result then does not depend on the clock."""
    method: Literal["imagination", "pool"] = "imagination"
    """Learn from roll-outs through the ensemble, or from the model's relabelled pool alone (implicit Q-learning)."""
    doubt: Annotated[float, AtLeast(0)] = 0.0
    """Reward lost in imagination where two members differ by twice of what is usual, as a share of the labels' range.
    Where a policy makes do with what the model only imagines, 0.5 helps; elsewhere it costs."""
    labels: Count | None = None
    """Labelled transitions behind each reward. None: the heads of the model."""
    seed: Seed = 0
    """Everything random comes from it."""


@command
class AdaptConfig(SearchFlags, MachineFlags, TrackerFlags):
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
