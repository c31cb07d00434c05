"""`mbtransfer plan`: one task or recipe, now, to be watched."""

from typing import Any

from rich.console import Console
from rich.text import Text

from mbtransfer.atomic import write_json
from mbtransfer.config import PlanConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluate import check_writable, setup_of
from mbtransfer.evaluation.asked import find_task
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.filming import film_episode
from mbtransfer.evaluation.live import LiveView
from mbtransfer.evaluation.play import Played
from mbtransfer.evaluation.setup import Setup
from mbtransfer.threads import threads
from tasks.recipe import Recipe, find_recipe
from tasks.render import Renderer
from tasks.task import Task


def run_plan(config: PlanConfig, console: Console | None = None) -> Played:
    """Run one episode and say what came of it; a robot that fails is a result, not an error.

    Args:
        config: the command's flags.
        console: where to show it; standard output by default.

    Returns:
        The episode: its row, its states, what the robot was after.

    Raises:
        UserError, TaskError, ModelError, PlannerError: anything that is wrong with the input; a video that is
            asked for where no renderer works is, too.
    """
    console, setup = console or Console(), setup_of(config)
    check_writable(config.json, config.video)
    with threads(setup.threads):
        pilot, asked = setup.pilot(), _asked(config, setup)
        spec, renderer = pilot.environment.spec, Renderer(pilot.scene) if config.video else None
        console.print(f"{asked.name}: {asked.description}", highlight=False, markup=False, soft_wrap=True)
        with LiveView(console, spec, pilot.dynamics) as view:
            played = play_episodes(pilot, asked, config.seed, 1, watch=view)[0]
    console.print(outcome(played, spec.control_dt), soft_wrap=True)
    if config.json is not None:
        write_json(config.json, describe(played))
    if config.video is not None and renderer is not None:
        with renderer:
            film_episode(pilot.scene, played, video=config.video, renderer=renderer)
        console.print(f"wrote {config.video}", highlight=False, soft_wrap=True)
    return played


def outcome(played: Played, control_dt: float) -> Text:
    """What came of an episode, in one line."""
    result = played.result
    steps = f", {result.steps_done} of {result.steps_total} steps" if result.kind == "recipe" else ""
    time = f"{result.steps} control steps ({result.steps * control_dt:.1f} s){steps}"
    plan = f"{result.plan_ms:.1f} ms per decision"
    if result.success:
        return Text.assemble(("✔ done", "bold green"), f": {result.task} in {time}; {plan}")
    why = f": {result.task}: {played.why}; {time}; {plan}"
    return Text.assemble(("✘ failed", "bold red"), why)


def describe(played: Played) -> dict[str, Any]:
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


def _asked(config: PlanConfig, setup: Setup) -> Task | Recipe:
    """The one thing to do."""
    environment, own = setup.environment(), setup.own_tasks()
    if config.recipe is not None and config.task is not None:
        raise UserError("--task and --recipe are both given; choose one")
    if config.recipe is not None:
        return find_recipe(config.recipe, environment)
    if config.task is not None:
        return find_task(environment, config.task, own)
    if len(own) == 1:
        return own[0]
    there = f"; {config.task_file} defines {', '.join(task.name for task in own)}" if own else ""
    raise UserError(f"nothing to do: give --task NAME or --recipe FILE_OR_NAME{there}")
