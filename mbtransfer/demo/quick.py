"""The quick demo: a small model, some tasks and a recipe that it was never trained for, a first picture."""

from time import monotonic
from typing import Any

from mbtransfer import __version__
from mbtransfer.config import DemoConfig
from mbtransfer.demo import stages
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.report import write_report
from mbtransfer.report.terminal import print_table
from mbtransfer.runtime.files import check_writable, output_lock, write_json
from mbtransfer.runtime.stages import Stages
from mbtransfer.runtime.terminal import Terminal
from tasks.environment import Environment
from tasks.recipe import Recipe, shipped_recipes
from tasks.registry import make
from tasks.task import Task

STEPS, EPOCHS = 40_000, 12
"""Control steps to collect, and epochs of training: so few that all is done in about a minute on two idle cores."""

TASKS, RECIPES, EPISODES = 4, 1, 3


def quick_demo(config: DemoConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Collect a little, fit a little, solve some tasks, film a recipe, report; the summary.

    Raises:
        UserError: the folder holds another demo, or cannot be written.
    """
    console = console or Terminal()
    check_writable(config.out / "summary.json")
    with output_lock(config.out):
        return _quick(config, console)


def _quick(config: DemoConfig, console: Terminal) -> dict[str, Any]:
    began, out, environment = monotonic(), config.out, make(config.env)
    environment.need_simulator("demo", "see docs/logs.md for the way from logs to a plan")
    kept = {"quick": True, "env": config.env, "seed": config.seed, "version": __version__}
    stored = Stages(out / "stages", kept, console)
    asked = chosen(environment)

    def learn() -> int:
        jobs = stages.scripted(STEPS, config.seed)
        data = stages.collect_jobs(environment, out / "data", jobs, config.workers, console)
        stages.train(environment, data, out / "model", config.seed, EPOCHS, config.workers)
        return data.steps

    transitions = stored.do("learn", "1/3 collect without any task, and fit a model", learn)
    how = EvalConfig(env=config.env, model=str(out / "model"), device=config.device)
    title = f"2/3 solve {len(asked)} tasks and recipes that it was not trained for"
    seed, rows = 1_000 + config.seed, out / "rows.csv"
    stored.do(
        "evaluate", title, lambda: stages.run(how, asked, EPISODES, seed, rows, config.workers, console)
    )
    filmed = [one.name for one in asked if isinstance(one, Recipe)]
    if config.video and filmed:
        stored.do(
            "films", "3/3 film a recipe",
            lambda: stages.film_recipes(how, filmed, seed, out / "media", console),
        )  # fmt: skip
    frame = stages.join_rows([rows], rows)
    summary = summarise(frame) | {
        "transitions": transitions, "wall_seconds": stored.seconds | {"total": sum(stored.seconds.values())},
    }  # fmt: skip
    write_json(out / "summary.json", summary)
    page = write_report(out)
    print_table(summary, console)
    console.say("")
    console.say(f"report: {page}   ({(monotonic() - began) / 60:.1f} minutes)")
    for picture in sorted((out / "media").glob("*.png")) if filmed else ():
        console.say(f"picture: {picture}, film: {picture.with_suffix('.mp4').name} beside it")
    console.say(
        f"next: mbtransfer plan --model {out / 'model'} --task drawer_half, or mbtransfer demo for the whole story"
    )
    return summary


def chosen(environment: Environment) -> list[Task | Recipe]:
    """Some held-out tasks, spread over all of them, and the first recipe."""
    held_out = stages.held_out(environment) or list(environment.tasks.values())
    some = held_out[:: max(1, len(held_out) // TASKS)][:TASKS]
    recipes = shipped_recipes(environment.spec.name)
    return [*some, *(one for one in stages.everything(environment) if one.name in list(recipes)[:RECIPES])]
