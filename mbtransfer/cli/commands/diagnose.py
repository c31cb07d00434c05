"""`mbtransfer diagnose`: what makes a task fail, the reward head, the model or the search."""

from dataclasses import asdict
from typing import Any

from rich.table import Table

from mbtransfer.config import DiagnoseConfig
from mbtransfer.diagnostics.diagnose import CAUSES, LARGER, Diagnosis, diagnose
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file

COMBINATIONS = 8


def run_diagnose(config: DiagnoseConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Diagnose a task and show where its loss comes from.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong.
    """
    console = console or Terminal()
    check_writable(config.json)
    setup = EvalConfig(
        model=str(config.model), labels=config.labels, planner=config.planner, horizon=config.horizon,
        candidates=config.candidates, iterations=config.iterations, particles=config.particles, device=config.device,
        task_file=None if config.task_file is None else str(config.task_file), trust_code=config.trust_code,
    )  # fmt: skip
    name = config.task or _only_task(config)
    with progress_bar(console, "diagnosing", COMBINATIONS, "combinations") as advance:
        found = diagnose(
            setup, name, episodes=config.episodes, seed=config.seed, workers=config.workers,
            finished=lambda: advance(1),
        )  # fmt: skip
    console.print(_table(found))
    for line in _sentences(found):
        console.say(line)
    plain = asdict(found) | {"success": [[*cell, rate] for cell, rate in found.success.items()]}
    if config.json:
        write_json(config.json, plain)
    return plain


def _only_task(config: DiagnoseConfig) -> str:
    if config.task_file is None:
        raise UserError("nothing to diagnose; give --task NAME or --task-file FILE")
    from mbtransfer.model import Model

    environment = Model.load(config.model, device="cpu", trust_code=config.trust_code).environment
    own = load_task_file(config.task_file, environment)
    if len(own) != 1:
        raise UserError(f"{config.task_file} defines {', '.join(one.name for one in own)}; give --task NAME")
    return own[0].name


def _table(found: Diagnosis) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("reward", "dynamics", "usual search", "larger search"):
        table.add_column(heading, justify="left" if heading in ("reward", "dynamics") else "right")
    for reward in (False, True):
        for dynamics in (False, True):
            rates = [found.success.get((reward, dynamics, search)) for search in (False, True)]
            if any(rate is not None for rate in rates):
                cells = ["-" if rate is None else f"{rate:.0%}" for rate in rates]
                table.add_row("true" if reward else "learned", "true" if dynamics else "learned", *cells)
    return table


def _sentences(found: Diagnosis) -> list[str]:
    lost = ", ".join(
        f"the {cause} {'cannot be judged (no simulator)' if (share := found.loss[cause]) is None else f'{share:.2f}'}"
        for cause in CAUSES
    )
    lines = [f"success lost to each cause, of 1: {lost}"]
    for one in found.partings[:1]:
        where = "".join(f", {name} {value:.3g}" for name, value in one.fixtures.items())
        lines.append(
            f"head and task differ most in episode {one.episode} at control step {one.step}{where}: "
            f"{one.predicted:+.2f} instead of {one.true:+.2f} (beside their means)"
        )
    lines += [f"next: {text}" for text in found.advice]
    larger = f"{LARGER['planner']}, {LARGER['iterations']} x {LARGER['candidates']} plans"
    return [*lines, f"the larger search: {larger}; {found.episodes} episodes each"]
