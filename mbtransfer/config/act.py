"""Commands that plan and show: evaluate, plan, report, tasks."""

from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from mbtransfer.config.flags import (
    Count,
    DecisionFlags,
    EngineFlags,
    MachineFlags,
    Seed,
    Split,
    TrackerFlags,
    command,
)


@command
class EvaluateConfig(DecisionFlags, EngineFlags, MachineFlags, TrackerFlags):
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
