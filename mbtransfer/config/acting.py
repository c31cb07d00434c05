"""Settings of the commands that act: demo, evaluate, compare, plan, live, serve."""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from mbtransfer.config.flags import (
    ClockFlags,
    Count,
    DecisionFlags,
    EngineFlags,
    MachineFlags,
    SearchFlags,
    Seed,
    Share,
    Split,
    TrackerFlags,
    TrustFlags,
    command,
    cores,
)


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
