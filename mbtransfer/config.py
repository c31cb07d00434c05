"""Settings of every command: fields are flags, field docstrings are their help."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from annotated_types import Ge, Le, MinLen
from tyro.conf import Positional

from mbtransfer.errors import UserError

T = TypeVar("T")


Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Split = Literal["source", "held_out", "recipes", "all"]


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def command(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose own fields come before the inherited ones, as the help should list them."""
    made = dataclass(frozen=True, kw_only=True)(cls)
    fields: dict[str, Any] = made.__dataclass_fields__  # type: ignore[attr-defined]
    own = {name: fields[name] for name in cls.__annotations__}
    made.__dataclass_fields__ = own | fields  # type: ignore[attr-defined]
    made.__pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # type: ignore[attr-defined]
    return made


@dataclass(frozen=True, kw_only=True)
class SearchFlags:
    """Settings of the search for plans."""

    planner: str = "cem"
    """Planner: cem, icem, mppi, random_shooting, gradient or hybrid (the last two need a learned model)."""
    particles: Count = 2
    """Imagined futures (particles) per plan; each follows one member of the ensemble."""
    horizon: Count | None = None
    """Control steps that a plan looks ahead. None: the planner's default."""
    candidates: Count | None = None
    """Candidate plans per iteration. None: the planner's default."""
    iterations: Count | None = None
    """Iterations of the search. None: the planner's default."""


@dataclass(frozen=True, kw_only=True)
class DecisionFlags(SearchFlags):
    """How plans are scored, and how long one decision may take."""

    settings: tuple[str, ...] = ()
    """Other planner settings as NAME=VALUE, such as knots=4 elites=12; an unknown name lists them all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the model's matrix products; states and rewards are always float32.
    auto: that of the rows being continued, otherwise the fastest on this machine."""
    compile: bool = False
    """Compile the model with torch.compile: a warm-up of seconds, then faster decisions (see `mbtransfer speed`)."""
    decision_ms: Annotated[float, Ge(0.001)] | None = None
    """Time budget per decision in milliseconds, after which the best plan so far is used. None: no limit.
    Iterative planners always finish at least one iteration."""
    discount: Annotated[float, Ge(0.001), Le(1)] = 1.0
    """Discount factor of the rewards per control step."""
    risk: Literal["mean", "cvar", "optimistic"] = "mean"
    """Imagined futures that count in a plan's return: all (mean), the worse (cvar) or the better half (optimistic)."""
    uncertainty_penalty: float = 0.0
    """Cost per control step at the highest percentile of ensemble disagreement; a negative value is a bonus."""
    retry_after: Count | None = None
    """Control steps without progress after which the robot returns to its start pose and tries again. None: never.
    Useful in long episodes, for example 20 in the Franka kitchen."""
    prepared: bool = True
    """Use the results of `mbtransfer prepare` for tasks that have them.
    The policy proposes plans, and the value function estimates the return beyond the horizon."""


@dataclass(frozen=True, kw_only=True)
class ClockFlags:
    """Whether the world waits for decisions."""

    clock: Literal["frozen", "realtime"] = "frozen"
    """World that waits for each decision (frozen), or goes on meanwhile as a robot's does (realtime).
    There a plan that comes late acts late, and until then the last plan goes on."""
    clock_speed: Annotated[float, Ge(0.001)] = 1.0
    """Speed of the world's clock: at 2 the world does two seconds' worth while the robot thinks for one."""
    latency_ms: Annotated[float, Ge(0)] | None = None
    """Milliseconds that each decision takes. None: as long as on this machine, measured before the first episode."""
    latency_trace: Path | None = None
    """Text file with the milliseconds of one decision per line; after the last one it begins again."""
    extra_latency_ms: Annotated[float, Ge(0)] = 0.0
    """Milliseconds to add to each decision, such as those of a camera and a network."""
    compensate: bool = True
    """Plan for where the model says the world will be when the plan is ready."""


@dataclass(frozen=True, kw_only=True)
class EngineFlags:
    """Where parallel work runs."""

    workers: Count = field(default_factory=cores)
    """Parallel processes, or concurrent tasks on a cluster; the results do not depend on the number."""
    engine: Literal["local", "ray"] = "local"
    """Run on this machine (local) or on a Ray cluster (ray, which needs the extra of that name)."""
    address: str = "auto"
    """Ray cluster. auto: the one running here; local: start one on this machine; ray://HOST:10001: a remote one."""


@dataclass(frozen=True, kw_only=True)
class MachineFlags:
    """Device and CPU threads."""

    device: str = "auto"
    """Device for tensors: auto (a GPU if there is one), cpu, cuda or cuda:N."""
    threads: Annotated[int, Ge(0)] = 0
    """CPU threads of PyTorch. 0: PyTorch's default (see OMP_NUM_THREADS), but 1 in evaluate and plan."""


@dataclass(frozen=True, kw_only=True)
class TrustFlags:
    """Whether files may name code to run."""

    trust_code: bool = False
    """Run the Python file or module that a model, dataset or protocol names as its environment.
    Its path and checksum are shown first. Without this flag such code never runs."""


@dataclass(frozen=True, kw_only=True)
class TrackerFlags:
    """Experiment tracking; see docs/tracking.md."""

    tracker: Literal["none", "wandb", "tensorboard"] = "none"
    """Tracker for curves, tables and lineage, in addition to the output files."""
    tracker_mode: Literal["online", "offline", "disabled"] | None = None
    """W&B mode. None: WANDB_MODE, otherwise online.
    Without a login or a reachable server the run is kept offline."""
    tracker_project: str | None = None
    """W&B project. None: WANDB_PROJECT, otherwise mbtransfer."""
    tracker_group: str | None = None
    """W&B group. None: WANDB_RUN_GROUP, otherwise one group for runs that differ only in seeds and paths."""
    tracker_name: str | None = None
    """Name of the run. None: WANDB_NAME, otherwise the command, its output and its seed."""


@command
class DemoConfig(SearchFlags, MachineFlags, TrackerFlags):
    """Run everything in minutes: collect, fit, solve tasks and recipes never trained for, and write a report."""

    out: Path
    """Output folder for the data, the model, the rows, the videos and report.html."""
    quick: bool = False
    """A first look: a small model, a few tasks and one recipe, and a film of it.
    The number of steps and episodes is fixed then."""
    seed: Seed = 0
    """Random seed."""
    env: str = "kitchen"
    """Name of the environment."""
    steps: Count = 200_000
    """Control steps to collect."""
    episodes: Count = 5
    """Evaluation episodes per task and recipe."""
    workers: Count = field(default_factory=cores)
    """Parallel processes that collect data; the data do not depend on the number."""
    video: bool = True
    """Film the recipes if a renderer is available."""


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
class EvaluateConfig(DecisionFlags, ClockFlags, EngineFlags, MachineFlags, TrackerFlags, TrustFlags):
    """Measure success rates on tasks and recipes, with 95% confidence intervals."""

    model: Path | None = None
    """Model folder; required unless --dynamics oracle with --reward true or distance."""
    tasks: tuple[str, ...] = ()
    """Tasks of the environment or of --task-file by name, label files (.csv), or such as "move(drawer, 0.2)"."""
    recipes: tuple[str, ...] = ()
    """Recipes: names of shipped ones, or YAML files."""
    split: Split | None = None
    """Split to add to what is named. None: nothing; if nothing is named, the tasks of --task-file or else all."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    dynamics: Literal["learned", "oracle"] = "learned"
    """Plan with the learned model, or with the true simulator (oracle), which is an upper bound."""
    reward: Literal["auto", "learned", "true", "distance"] | None = None
    """Reward to plan for: learned reward heads, the tasks' own rewards (true), own rewards where imagined
    observations are enough to compute them and else heads (auto), or a control (distance).
    The control rewards only nearness of hand and handle; what it solves is solved by bumping into things.
    None: auto with --task-file, else learned."""
    labels: Count | None = None
    """Labelled transitions used to fit each reward head. None: 10,000, or the whole pool if it is smaller."""
    episodes: Count = 10
    """Episodes per task or recipe and seed."""
    seeds: tuple[Seed, ...] = (0,)
    """Seeds of the episodes."""
    env: str = "kitchen"
    """Name of the environment, if no model is given."""
    rows: Path | None = None
    """CSV file to which one line per episode is appended. Run again to continue."""
    json: Path | None = None
    """JSON file for the summary."""


@command
class CompareConfig(EngineFlags, MachineFlags, TrackerFlags, TrustFlags):
    """Compare what can be carried from old tasks to new ones: model, policy or nothing. Run again to continue."""

    model: Path
    """Model folder; all methods share its pool, and its environment's source tasks are the old ones."""
    out: Path
    """Folder for the runs, runs.csv, summary.json, table.md, report.html and success-against-time.png."""
    methods: tuple[str, ...] = ("all",)
    """Methods: all, or names of `docs/transfer.md`, such as model, policy or own_model, or those of --method-file.
    The ends of the score, random and oracle, always run."""
    method_file: Path | None = None
    """Python file that defines your own methods; it is run."""
    targets: tuple[str, ...] = ()
    """Tasks to solve by name, or with a target, such as "move(drawer, 0.2)". Empty: all held-out tasks."""
    budget: Literal["small", "paper"] | None = None
    """Labels, episodes, practice, seeds and training sizes together; the flags below win.
    small: 1,000 labels, 3 episodes, practice 0 and 1, seed 0, and a share of the methods' training.
    paper: 1,000 labels, 10 episodes, practice 0, 1 and 5, seeds 0, 1 and 2, and all of their training."""
    labels: Count | None = None
    """Labelled transitions behind the reward of each task.
    None: those of --budget, else 10,000; or the whole pool if it is smaller."""
    episodes: Count | None = None
    """Episodes per target and seed, to measure success. None: those of --budget, else 5."""
    practice: tuple[Annotated[int, Ge(0)], ...] = ()
    """Numbers of episodes of each target that a method may learn from before it is measured, such as 0 1 5.
    A method that needs none is run once for all of them. Empty: those of --budget, else 0: zero-shot."""
    seeds: tuple[Seed, ...] = ()
    """Seeds of the methods and of the episodes. Empty: those of --budget, else 0."""
    matrix: bool = False
    """Also act in each target by what was learned for each other one, with the first seed, and learn the targets one
    after the other (streams). T targets are played T times T times by each method and in each of two streams."""


@command
class PlanConfig(DecisionFlags, MachineFlags, TrustFlags):
    """Run one episode of a task or recipe and show it live; without a simulator, plan one decision in imagination."""

    model: Path | None = None
    """Model folder; required unless --dynamics oracle with --reward true."""
    task: str | None = None
    """Task by name, from --task-file, a label file (.csv), or such as "move(drawer, 0.2)"; give this or --recipe."""
    recipe: str | None = None
    """Recipe: the name of a shipped one, or a YAML file; give this or --task."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    dynamics: Literal["learned", "oracle"] = "learned"
    """Plan with the learned model, or with the true simulator (oracle)."""
    reward: Literal["auto", "learned", "true"] = "auto"
    """Reward to plan for: the task's own reward (true), learned reward heads, or the task's own where imagined
    observations are enough to compute it and else heads (auto)."""
    labels: Count | None = None
    """Labelled transitions used to fit each reward head. None: 10,000, or the whole pool if it is smaller."""
    seed: Seed = 0
    """Seed of the episode."""
    env: str = "kitchen"
    """Name of the environment, if no model is given."""
    observation: Path | None = None
    """CSV file of observations whose last row to plan one decision from, without running it. None: run an episode;
    in an environment without a simulator, plan from an observation of the logs."""
    video: Path | None = None
    """MP4 file for a video of the episode."""
    json: Path | None = None
    """JSON file for the result."""


@command
class LiveConfig(DecisionFlags, MachineFlags, TrustFlags):
    """Open a page in the browser in which the robot moves, and give it work there."""

    model: Path
    """Model folder."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    reward: Literal["auto", "learned", "true"] = "auto"
    """Reward to plan for: the task's own reward (true), learned reward heads, or the task's own where imagined
    observations are enough to compute it and else heads (auto)."""
    labels: Count | None = None
    """Labelled transitions used to fit each reward head. None: 10,000, or the whole pool if it is smaller."""
    seed: Seed = 0
    """Seed of the start states and of the planner."""
    host: str = "127.0.0.1"
    """Address to answer on. Only this machine's own is allowed: a page has no password."""
    port: Annotated[int, Ge(1), Le(65535)] = 8080
    """Port to answer on."""
    out: Path = Path("runs/live")
    """Folder for kept episodes (data) and films."""
    replay: Path | None = None
    """Dataset whose episodes are shown instead, beside what the model had imagined of them."""


@command
class ServeConfig(DecisionFlags, MachineFlags, TrustFlags):
    """Plan for robots: they send observations and get actions, over WebSocket."""

    model: Path
    """Model folder; loaded again, beside the planning, when a robot or the signal USR1 asks for it."""
    tasks: tuple[str, ...] = ()
    """Tasks that are ready from the start: by name, label files (.csv), or such as "move(drawer, 0.2)".
    Robots begin with the first one, and may ask for any other that needs no file."""
    recipes: tuple[str, ...] = ()
    """Recipes that are ready from the start: names of shipped ones, or YAML files."""
    task_file: Path | None = None
    """Python file that defines your own tasks."""
    reward: Literal["auto", "learned", "true"] = "auto"
    """Reward to plan for: the task's own reward (true), learned reward heads, or the task's own where imagined
    observations are enough to compute it and else heads (auto)."""
    labels: Count | None = None
    """Labelled transitions used to fit each reward head. None: 10,000, or the whole pool if it is smaller."""
    seed: Seed = 0
    """Seed of each robot's planner."""
    safe_action: tuple[float, ...] = ()
    """What a robot does instead of a faulty or missing plan. Empty: zeros."""
    deadline_ms: Annotated[float, Ge(0.1)] | None = None
    """Milliseconds from an observation on, after which the answer is the safe action. None: one control step."""
    most_doubt: Share | None = None
    """Greatest doubt with which a plan is followed: its mean percentile of disagreement, such as 0.98. None: any."""
    host: str = "127.0.0.1"
    """Address to answer on. Any but this machine's own needs a token: see MBTRANSFER_TOKEN in docs/serve.md."""
    port: Annotated[int, Ge(0), Le(65535)] = 8765
    """Port to answer on. 0: a free one, which is told."""


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


__all__ = [
    "COMMANDS",
    "AdaptConfig",
    "CalibrationConfig",
    "CheckConfig",
    "ClockFlags",
    "CollectConfig",
    "CompareConfig",
    "DatasetExportConfig",
    "DatasetImportConfig",
    "DatasetInfoConfig",
    "DatasetStripConfig",
    "DecisionFlags",
    "DemoConfig",
    "DiagnoseConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FitConfig",
    "LabelConfig",
    "MachineFlags",
    "PlanConfig",
    "PrepareConfig",
    "PullConfig",
    "PushConfig",
    "ReportConfig",
    "ReproduceConfig",
    "SearchFlags",
    "ServeConfig",
    "SpeedConfig",
    "SweepConfig",
    "TasksConfig",
    "TrackerFlags",
    "TrustFlags",
    "VerifyConfig",
    "cores",
]  # fmt: skip

COMMANDS: dict[str, type] = {
    "demo": DemoConfig,
    "collect": CollectConfig,
    "fit": FitConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "prepare": PrepareConfig,
    "export": ExportConfig,
    "adapt": AdaptConfig,
    "label": LabelConfig,
    "plan": PlanConfig,
    "live": LiveConfig,
    "serve": ServeConfig,
    "check": CheckConfig,
    "diagnose": DiagnoseConfig,
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
    "push": PushConfig,
    "pull": PullConfig,
    "verify": VerifyConfig,
}
"""Every command and its settings, in the order of the help; a name of two words is a command of a group."""


def parse_settings(settings: Sequence[str]) -> dict[str, int | float]:
    """Parse NAME=VALUE pairs.

    Raises:
        UserError: a text is not of that form.
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
