"""What the settings of several commands have in common: fields are flags, field docstrings are their help."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from annotated_types import Ge, Le

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
