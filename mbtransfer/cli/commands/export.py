"""`mbtransfer export`: a prepared policy as an ONNX file."""

from typing import Any

from mbtransfer.config import ExportConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.task_policy import load_prepared
from mbtransfer.runtime.files import check_writable
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file
from mbtransfer.training.policy.onnx_export import INPUT, OUTPUT, export_onnx


def run_export(config: ExportConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Write the policy that was prepared for a task.

    Raises:
        UserError, TaskError, ModelError: the input is wrong, or nothing was prepared for the task.
    """
    console = console or Terminal()
    check_writable(config.out)
    model = Model.load(config.model, device="cpu", trust_code=config.trust_code)
    own = load_task_file(config.task_file, model.environment) if config.task_file else []
    task = find_task(model.environment, config.task, own)
    spec = model.environment.spec
    prepared = load_prepared(config.model, task.name, model.digest, action_bounds(spec, "cpu"))
    if prepared is None:
        raise UserError(
            f"nothing is prepared for {task.name!r}: mbtransfer prepare --model {config.model} "
            f"--tasks {task.name!r} --method planner"
        )
    done = export_onnx(prepared, spec, model.pool.obs, config.out)
    console.say(
        f"wrote {done.path}: {INPUT} [batch, {model.pool.obs.shape[1]}] to {OUTPUT} [batch, "
        f"{len(prepared.bounds.low)}], {done.size / 1e3:.0f} kB; largest difference to the policy in {done.states:,} "
        f"states {done.difference:.0e} of half the action range",
    )  # fmt: skip
    return done._asdict()
