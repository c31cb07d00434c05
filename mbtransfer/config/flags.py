"""What commands have in common: marks on numbers, and flags of searching, deciding and the machine.

`seeds: tuple[int, ...]` is `--seeds 0 1 2`, `video: bool = True` is `--video` and `--no-video`, `Path | None`
may be left out. `AtLeast` and the like are checked before anything runs.
"""

import os
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

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
    compile: bool = False
    """Let torch.compile fuse the model's steps: seconds of warm-up for quicker decisions (see bench)."""
    decision_ms: Annotated[float, AtLeast(0.001)] | None = None
    """Milliseconds that a decision may take: the best plan found by then. None: as long as it takes. For
    planners of several rounds: one is always done."""
    discount: Annotated[float, AtLeast(0.001), AtMost(1)] = 1.0
    """Factor on rewards per control step."""
    risk: Literal["mean", "cvar", "optimistic"] = "mean"
    """Which imagined futures of a plan count: all, the worse half or the better half."""
    doubt: float = 0.0
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
    threads: Annotated[int, AtLeast(0)] = 0
    """Threads for tensors. 0: as many as PyTorch sees fit (OMP_NUM_THREADS is heeded)."""


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
