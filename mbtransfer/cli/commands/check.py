"""`mbtransfer check`: find out what the model does not know about a task before running it."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from mbtransfer.config import CheckConfig
from mbtransfer.diagnostics.check import RISKY, Finding, as_dict, check_task
from mbtransfer.diagnostics.label_warnings import warn_of_labels
from mbtransfer.evaluation.task_selection import find_task_or_recipe
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal, styled
from mbtransfer.task_file import load_task_file
from tasks.recipe import find_recipe
from tasks.recipe.recipe import Recipe, tasks_of
from tasks.task import Task


def run_check(config: CheckConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Check a task or every step of a recipe; a warning is a finding, not an error.

    Raises:
        UserError, TaskError, ModelError: the input is wrong.
    """
    console = console or Terminal()
    check_writable(config.json)
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    scene = model.scene()
    tasks = _tasks(config, model)
    warn_of_labels(model, tasks, learned=True, successes=False)  # check_task tells of these
    findings = [check_task(model, task, scene, seed=config.seed) for task in tasks]
    risk = max(finding.risk for finding in findings)
    found = {
        "name": config.task or config.recipe, "risk": risk, "trusted": not any(f.warning for f in findings),
        "warnings": [f"{f.task}: {f.warning}" for f in findings if f.warning],
        "steps": [as_dict(finding) for finding in findings],
    }  # fmt: skip
    console.print(_table(findings))
    for task in tasks:
        if isinstance(task, LabelledTask):
            console.say(f"{task.name}: {task.description}")
    for finding in findings:
        if finding.warning:
            console.say(styled(("warning", "bold yellow"), f" {finding.task}: {finding.warning}"))
    if found["trusted"]:
        console.say("the model knows what this needs")
    if config.json:
        write_json(config.json, found)
    return found


def _tasks(config: CheckConfig, model: Model) -> list[Task]:
    own = load_task_file(config.task_file, model.environment) if config.task_file else []
    asked: Sequence[Task | Recipe] = own
    if config.recipe:
        asked = [find_recipe(config.recipe, model.environment)]
    elif config.task:
        asked = [find_task_or_recipe(model.environment, config.task, own)]
    return list(dict.fromkeys(tasks_of(asked)))


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("task", no_wrap=True)
    for name in ("seen", "imagined", "disagree", "reward err", "success err", "risk"):
        table.add_column(name, justify="right")
    for f in findings:
        style = "red" if f.risk > RISKY else ""
        table.add_row(
            f.task, f"{f.coverage:.0%}", f"{f.imagined_success:.0%}", f"{f.disagreement:.0%}",
            f"{f.reward_error:.1%}", f"{f.success_error:.1%}", f"{f.risk:.2f}", style=style,
        )  # fmt: skip
    return table
