"""Settings of the commands that collect data and train: collect, fit, prepare, export, adapt, label."""

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge

from mbtransfer.config.flags import (
    Count,
    EngineFlags,
    MachineFlags,
    SearchFlags,
    Seed,
    Share,
    Split,
    TrackerFlags,
    TrustFlags,
    command,
)


@command
class CollectConfig(SearchFlags, EngineFlags, TrackerFlags):
    """Collect episodes of several behaviours and append them to a dataset. Run again to continue."""

    out: Path
    """Dataset folder, new or existing."""
    env: str = "kitchen"
    """Name of the environment."""
    tasks: tuple[str, ...] = ()
    """Tasks that the planning behaviours are rewarded for. Empty: all source tasks."""
    steps: Count = 200_000
    """Total number of control steps, rounded up to whole episodes."""
    seed: Seed = 0
    """Random seed; another seed adds other episodes to the same dataset."""
    behaviours: tuple[str, ...] = ()
    """Behaviours as NAME or NAME=SHARE: noise, reach, babble, planner, oracle, explore, goals, curious, and
    play where the environment brings its own.
    Empty: babble=0.9 noise=0.05 reach=0.05; with --model babble=0.96 planner=0.03 explore=0.01;
    with --tasks alone babble=0.88 oracle=0.02 noise=0.05 reach=0.05.
    Empty, in an environment without fixtures: noise; with --model planner=0.6 explore=0.3 noise=0.1;
    with --tasks alone noise=0.5 oracle=0.5."""
    model: Path | None = None
    """Model folder, required by the behaviours planner, explore, goals and curious."""
    locked: tuple[str, ...] = ()
    """Names of fixtures that cannot be moved during collection."""
    near: Share = 0.5
    """Share of episodes that start with the hand 6 to 20 cm from a handle."""
    episode_steps: Count = 60
    """Control steps per episode."""
    noise: Annotated[float, Ge(0)] = 0.2
    """Standard deviation of the noise on planned actions, as a share of half the action range."""
    planner: str = "mppi"
    """Planner: mppi, cem, icem, random_shooting, gradient or hybrid. One round of mppi is enough under noise."""
    settings: tuple[str, ...] = ()
    """Other planner settings as NAME=VALUE, such as knots=4."""
    replan: Count = 1
    """Control steps between two planning decisions; in between the last plan is followed."""
    chain: bool = False
    """In planned episodes, continue with another random task once a task is done."""
    branches: Annotated[int, Ge(0)] = 0
    """Side branches per planned episode: 12 of its control steps with more noise, in addition to --steps."""
    prepared: bool = True
    """Let planner and explore use the results of `mbtransfer prepare` if all of their tasks have them."""
    bonus: Annotated[float, Ge(0)] = 1.0
    """Reward of the behaviours explore and curious for one unit of ensemble disagreement."""
    json: Path | None = None
    """JSON file for a description of the dataset."""


@command
class FitConfig(MachineFlags, TrackerFlags, TrustFlags):
    """Fit the shared dynamics model to a dataset, or continue a fitted model with new episodes."""

    data: Path | None = None
    """Dataset folder for a new model."""
    continue_with: Path | None = None
    """Dataset folder of new episodes of the same environment, with which to continue --model instead."""
    model: Path | None = None
    """Model folder to continue; it is left unchanged. Only with --continue-with."""
    replay: Share = 0.5
    """Share of each batch that is drawn from the old model's pool; the rest are new transitions.
    Lower it where the world itself has changed. Only with --continue-with."""
    out: Path
    """Folder for the model."""
    seed: Seed = 0
    """Random seed."""
    epochs: Count | None = None
    """Training epochs of at most 250 updates each. None: 20, or 80 in an environment without fixtures;
    5 with --continue-with."""
    members: Count = 5
    """Networks in the ensemble."""
    structure: Literal["objects", "shared", "attention", "dense"] | None = None
    """Structure of each network. None: objects, or dense in an environment without fixtures.
    objects: one block of weights per object; shared: the same weights for all objects;
    attention: blocks with attention between objects; dense: a single block.
    Only objects and dense models can be adapted."""
    hidden: Count | None = None
    """Width of each block's hidden layers. None: 64, or 256 in an environment without fixtures."""
    layers: Count = 2
    """Hidden layers of each block."""
    head: Literal["deterministic", "gaussian"] = "deterministic"
    """Predict a mean (deterministic), or a mean and a variance (gaussian)."""
    loss: Literal["huber", "mse", "nll", "beta_nll"] = "huber"
    """Loss on normalised changes; the likelihood losses nll and beta_nll need --head gaussian."""
    rollout_steps: Count = 1
    """Control steps over which the loss follows the model's own predictions; training time grows in proportion.
    1: every prediction starts from data."""
    choose: Literal["loss", "rollout"] = "loss"
    """Criterion for each member's best epoch on held-out episodes: the loss, or the error of roll-outs."""
    moving: Share = 0.0
    """Share of each batch in which an object moves, all objects equally often. 0: plain random transitions."""
    batch: Count = 256
    """Transitions per member and update."""
    learning_rate: Annotated[float, Ge(0)] | None = None
    """Peak learning rate; wide networks need a lower one.
    None: 0.01, or 0.001 in an environment without fixtures; a tenth of that with --continue-with."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Decoupled weight decay: the share by which weights shrink per update, per unit of learning rate."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of matrix products in training. auto: bfloat16 on GPUs that support it, otherwise float32."""
    stream: bool = False
    """Read the data from disk during training; this is automatic for data that exceed half the memory."""
    json: Path | None = None
    """JSON file for the training curve and the errors."""


@command
class PrepareConfig(MachineFlags, TrackerFlags, TrustFlags):
    """Train a policy and a value function per task, without environment steps, to plan beyond the horizon."""

    model: Path
    """Model folder, in which the results are stored."""
    tasks: tuple[str, ...] = ()
    """Tasks of the environment or of --task-file by name, or with a target, such as "move(drawer, 0.2)"."""
    split: Split | None = None
    """Split to add to what is named. None: nothing; if nothing is named, the tasks of --task-file or else all."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    commands: bool = False
    """Train one policy for commands to the body as a whole (a speed, a height) instead of one for each task: the
    behaviour goals of collect then practises random commands. For environments such as dm_control:walker."""
    seconds: Annotated[float, Ge(0)] = 60.0
    """Training time per task, in seconds."""
    updates: Count | None = None
    """Maximum number of updates per task. None: no maximum.
    If it is reached before --seconds, the result does not depend on the speed of the machine."""
    method: Literal["imagination", "pool", "planner"] = "imagination"
    """Learn from roll-outs of the model (imagination), offline from its pool by implicit Q-learning (pool),
    or by imitation of the planner in imagination (planner), in rounds of which each counts as an update."""
    uncertainty_penalty: Annotated[float, Ge(0)] = 0.0
    """Reward lost where two members disagree twice as much as usual, as a share of the reward range.
    0.5 helps where the policy exploits errors of the model; elsewhere it lowers the return."""
    labels: Count | None = None
    """Labelled transitions used to fit each reward head. None: 10,000, or the whole pool if it is smaller."""
    seed: Seed = 0
    """Random seed."""


@command
class ExportConfig(TrustFlags):
    """Export the policy that was prepared for a task to an ONNX file, which needs no PyTorch and no planner."""

    model: Path
    """Model folder."""
    task: str
    """Task that was prepared: by name, from --task-file, or such as "move(drawer, 0.2)"."""
    out: Path
    """ONNX file to write."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""


@command
class AdaptConfig(SearchFlags, MachineFlags, TrackerFlags, TrustFlags):
    """Fine-tune a model on a few episodes of a new task, and report how much old tasks lose."""

    model: Path
    """Model folder."""
    task: str
    """The new task: by name, from --task-file, or such as "move(drawer, 0.2)"."""
    episodes: Annotated[int, Ge(0)]
    """Number of episodes to run in the new task."""
    out: Path
    """Folder for the adapted model."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    seed: Seed = 0
    """Random seed."""
    json: Path | None = None
    """JSON file for the report."""


@command
class LabelConfig(MachineFlags, TrustFlags):
    """Label transitions for a reward head: by a task, a person, a spreadsheet or examples. Run again to continue."""

    model: Path
    """Model folder; its pool, and for --active its imagination, provide the transitions."""
    out: Path
    """Label file (.csv), new or to be continued; `--task labels.csv` makes a task of it in plan, evaluate and check."""
    count: Count | None = None
    """Labelled transitions in the file in the end. None: 100, or 10,000 with --successes or --preferences."""
    active: bool = False
    """Label half of them at random, and the others where heads disagree, in the pool and in imagined plans for them."""
    task: str | None = None
    """Task that labels: by name, from --task-file, or such as "move(drawer, 0.2)". None: see --task-file."""
    task_file: Path | None = None
    """Python file that defines the task that labels. None, without --task and --person: reward and success stay
    empty, for somebody to fill in; with --active run the command again after each batch."""
    person: bool = False
    """Ask for reward and success on the terminal; Ctrl-C stops, and every answer is kept."""
    labels_file: Path | None = None
    """Label file to begin with while --out does not exist yet. None: begin without labels."""
    successes: Path | None = None
    """CSV file of observations in which the task is done; what they agree on becomes the goal of all labels."""
    preferences: Path | None = None
    """CSV file of pairs of segments of which one is better; the labels are of a reward that explains them."""
    json: Path | None = None
    """JSON file for the errors of the head after each batch."""
