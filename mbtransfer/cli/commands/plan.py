"""`mbtransfer plan`: run one task or recipe and show it live."""

from typing import Any

from rich.text import Text

from mbtransfer.cli.commands.imagined import plan_in_imagination
from mbtransfer.config import PlanConfig
from mbtransfer.diagnostics.label_warnings import warn_of_labels
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.rollout import EpisodeRecord
from mbtransfer.evaluation.video import film_episode
from mbtransfer.evaluation.viewer import LiveView
from mbtransfer.mpc.imagined_plan import ImaginedPlan
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal, styled
from tasks.recipe import Recipe, find_recipe
from tasks.render import Renderer
from tasks.task import Task


def run_plan(config: PlanConfig, console: Terminal | None = None) -> EpisodeRecord | ImaginedPlan:
    """Run one episode and print its outcome; a failed episode is a result, not an error.

    From an observation, or where there is no simulator, one decision is planned and shown instead.

    Args:
        config: the command's flags.
        console: where to show it; standard output by default.

    Returns:
        The episode: its row, its states and the robot's goals; or the plan.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong, or a video is requested but no renderer
            works.
    """
    console = console or Terminal()
    check_writable(config.json, config.video)
    context = EvalConfig.from_flags(config).resolve()
    task = _chosen(config, context)
    controller = (context := context.decide_reward([task])).controller
    warn_of_labels(context.model, [task], learned=context.config.reward == "learned")
    if config.observation is not None or not context.environment.simulated:
        return plan_in_imagination(config, context, task, console)
    with threads(context.config.threads):
        spec, renderer = controller.environment.spec, Renderer(controller.scene) if config.video else None
        console.say(f"{task.name}: {task.description}")
        console.say(context.reward_note(task))
        console.say(context.planner_note())
        with LiveView(console, spec, controller.dynamics) as view:
            played = play_episodes(controller, task, config.seed, 1, watch=view)[0]
    console.say(outcome(played, spec.control_dt))
    if config.json is not None:
        write_json(config.json, as_dict(played))
    if config.video is not None and renderer is not None:
        with renderer:
            film_episode(controller.scene, played, video=config.video, renderer=renderer)
        console.say(f"wrote {config.video}")
    return played


def outcome(played: EpisodeRecord, control_dt: float) -> Text:
    """The outcome of an episode, in one line."""
    result = played.result
    steps = f", {result.steps_done} of {result.steps_total} steps" if result.kind == "recipe" else ""
    time = f"{result.steps} control steps ({result.steps * control_dt:.1f} s){steps}"
    plan = f"{result.plan_ms:.1f} ms per decision"
    if result.success:
        return styled(("✔ done", "bold green"), f": {result.task} in {time}; {plan}")
    why = f": {result.task}: {played.why}; {time}; {plan}"
    return styled(("✘ failed", "bold red"), why)


def as_dict(played: EpisodeRecord) -> dict[str, Any]:
    """The result of an episode in plain values."""
    result = played.result
    return {
        "task": result.task,
        "kind": result.kind,
        "success": result.success,
        "why": played.why,
        "return": result.return_,
        "steps": result.steps,
        "steps_to_success": result.steps_to_success,
        "steps_done": result.steps_done,
        "steps_total": result.steps_total,
        "plan_ms": result.plan_ms,
        "after": list(played.after),
    }


def _chosen(config: PlanConfig, context: EvalContext) -> Task | Recipe:
    """The task or recipe to run."""
    own = context.own_tasks
    if config.recipe is not None and config.task is not None:
        raise UserError("--task and --recipe are both given; choose one")
    if config.recipe is not None:
        return find_recipe(config.recipe, context.environment)
    if config.task is not None:
        return context.find_task_or_recipe(config.task)
    if len(own) == 1:
        return own[0]
    there = f"; {config.task_file} defines {', '.join(task.name for task in own)}" if own else ""
    raise UserError(f"nothing to do: give --task NAME or --recipe FILE_OR_NAME{there}")
