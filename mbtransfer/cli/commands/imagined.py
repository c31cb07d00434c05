"""`mbtransfer plan` where there is no simulator: one decision, and what the model believes of it."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from mbtransfer.config import PlanConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.labels.example_files import read_successes
from mbtransfer.model import Model
from mbtransfer.mpc.imagined_plan import LEVEL, ImaginedPlan, as_dict, plan_from
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.runtime.terminal import Terminal
from tasks.recipe import Recipe
from tasks.task import Task
from tasks.task_starts import fresh_states

SHOWN = 12
"""Columns of the observation in the table: those that the plan is expected to move farthest."""


def plan_in_imagination(
    config: PlanConfig, context: EvalContext, task: Task | Recipe, console: Terminal
) -> ImaginedPlan:
    """Plan once, print the first action and what the model believes, and write JSON if requested.

    Raises:
        UserError: no model, a recipe, a video, or an observation that cannot be read.
    """
    model = context.model
    if model is None or context.config.dynamics != "learned":
        raise UserError("one decision is planned in imagination, with a learned model; give --model MODEL")
    if isinstance(task, Recipe):
        raise UserError(f"one decision is planned for a task, and {task.name} is a recipe; give a task of it")
    if config.video is not None:
        raise UserError("one decision is no film; leave out --video")
    obs, where = start(model, task, config.observation, config.seed)
    console.say(f"{task.name}: {task.description}")
    console.say(context.reward_note(task))
    console.say(context.planner_note())
    console.say(f"from {where}")
    with threads(context.config.threads):
        plan = plan_from(context.controller, model, task, obs, config.seed)
    console.print(_action(plan, model))
    console.print(_belief(plan, model))
    console.say(verdict(plan, context.environment.spec.control_dt))
    if config.json is not None:
        write_json(config.json, as_dict(plan, model))
    return plan


def start(model: Model, task: Task, file: Path | None, seed: int) -> tuple[Float[Tensor, " O"], str]:
    """The observation to plan from, and what to call it: the last row of a file, or one of the model's pool.

    Raises:
        UserError: the file is no table of observations.
        TaskError: every observation of the pool fulfils the task.
    """
    if file is not None:
        rows = read_successes(file, model.environment.spec)
        if not len(rows):
            raise UserError(f"{file}: no rows; the last one is planned from")
        return rows[-1], f"the last row of {file}"
    state = fresh_states(model.scene(), task, np.random.default_rng([seed, 3]), 1)[0]
    return torch.from_numpy(state).float(), "an observation of the logs in which the task is not done"


def verdict(plan: ImaginedPlan, control_dt: float) -> str:
    """What the model expects of the whole plan, in one line."""
    steps, doubt = len(plan.actions), float(plan.doubt.max())
    known = f"members disagree at most as on {doubt:.0%} of the held-out roll-outs"
    after = plan.reached_after
    if after is None:
        end = f"{plan.task.name} is not done within {steps} control steps ({steps * control_dt:.2g} s)"
    else:
        end = f"{plan.task.name} is done after {after} control steps ({after * control_dt:.2g} s)"
    return f"the model believes: {end}; {known}"


def _action(plan: ImaginedPlan, model: Model) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("first action", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("range", justify="right")
    for column, value in zip(model.environment.spec.action, plan.actions[0].tolist(), strict=True):
        limits = f"{column.low:g} to {column.high:g} {column.unit}".rstrip()
        table.add_row(column.name, f"{value:.4g} {column.unit}".rstrip(), limits)
    return table


def _belief(plan: ImaginedPlan, model: Model) -> Table:
    """Where the columns that move farthest are believed to be, after one step, half of the plan and all of it."""
    steps = sorted({1, (len(plan.actions) + 1) // 2, len(plan.actions)})
    table = Table(box=None, header_style="bold")
    table.add_column(f"believed (± {LEVEL:.0%})", no_wrap=True)
    for heading in ("now", *(f"after {step}" for step in steps)):
        table.add_column(heading, justify="right", no_wrap=True)
    way = (plan.expected[-1] - plan.expected[0]).abs() / model.dynamics.normalizer.change.cpu()
    for at in sorted(way.argsort(descending=True)[:SHOWN].tolist()):
        column = model.environment.spec.observation[at]
        cells = [
            f"{float(plan.expected[step, at]):.3g} ± {float(plan.half_width[step - 1, at]):.2g}"
            for step in steps
        ]
        name = f"{column.name} ({column.unit})" if column.unit else column.name
        table.add_row(name, f"{float(plan.expected[0, at]):.3g}", *cells)
    table.add_row("success", "", *(f"{float(plan.success[step - 1]):.0%}" for step in steps))
    return table
