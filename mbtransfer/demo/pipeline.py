"""The demo from top to bottom: collect, fit, solve tasks and recipes, adapt, film, report.

Each stage keeps its result; a rerun continues after the last finished one. `stages` holds what they do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any

from mbtransfer import __version__
from mbtransfer.config import DemoConfig
from mbtransfer.demo import stages
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.statistics import summarise
from mbtransfer.model import LABELS, Model
from mbtransfer.report import write_report
from mbtransfer.report.terminal import print_table
from mbtransfer.runtime.files import check_writable, output_lock, write_json
from mbtransfer.runtime.stages import Stages
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, PrefixedTracker, Tracker, track
from tasks.recipe import shipped_recipes
from tasks.registry import make
from world_models.checkpoint.atomic import listed
from world_models.checkpoint.checkpoint import MANIFEST

EPOCHS = {"first": 4, "model": 60, "locked": 16}
LOCKED_SHARE = 0.7
"""Size of the pool with locked fixtures, as a share of the main one."""

FEW_LABELS = (100, 1_000)
LATER_SEED = 1_000
"""Evaluation uses seeds from here on, so that no episode is like one that was collected."""

DECIDING = ("seed", "env", "steps", "episodes", "planner", "particles", "candidates", "iterations", "horizon")
"""Settings that results depend on."""


def demo(config: DemoConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Collect, fit, measure, adapt, film, report; the summary.

    Raises:
        UserError: the folder holds another demo, or cannot be written.
    """
    check_writable(config.out / "summary.json")
    with output_lock(config.out), track("demo", config, config.out) as tracker:
        return _demo(config, console or Terminal(), tracker)


def _demo(config: DemoConfig, console: Terminal, tracker: Tracker) -> dict[str, Any]:
    began, out, workers = monotonic(), config.out, config.workers
    environment, later_seed = make(config.env), LATER_SEED + config.seed
    environment.need_simulator("demo", "see docs/logs.md for the way from logs to a plan")
    everything, held_out = stages.everything(environment), stages.held_out(environment)
    settings = {name: getattr(config, name) for name in DECIDING} | {"version": __version__}
    stored = Stages(out / "stages", settings, console)

    def part(name: str) -> Tracker:
        return PrefixedTracker(tracker, name)

    def evaluate(name: str, how: EvalConfig, tasks: list[Any], episodes: int) -> int:
        rows = out / "rows" / f"{name}.csv"
        rows.parent.mkdir(parents=True, exist_ok=True)
        return stages.run(how, tasks, episodes, later_seed, rows, workers, console, part(name))

    # 1. Scripted behaviours fill the pool. A first model of it plans source tasks, which adds a little; then the fit.
    def learn() -> dict[str, Any]:
        seconds = {"collect": 0.0, "fit": 0.0}
        planned = round(config.steps * stages.ON_POLICY)
        jobs = stages.scripted(config.steps - planned, config.seed)
        with _timed(seconds, "collect"):
            data = stages.collect_jobs(environment, out / "data", jobs, workers, console)
        if not (out / "first" / MANIFEST).is_file():
            with _timed(seconds, "fit"):
                stages.train(
                    environment, data, out / "first", config.seed, EPOCHS["first"], workers, part("first")
                )
        jobs = stages.on_policy(planned, config.seed, environment, out / "first")
        with _timed(seconds, "collect"):
            data = stages.collect_jobs(environment, out / "data", jobs, workers, console)
        with _timed(seconds, "fit"):
            stages.train(
                environment, data, out / "model", config.seed, EPOCHS["model"], workers, part("model")
            )
        tracker.makes(Artifact("dataset", str(out / "data"), data.digest))
        tracker.makes(Artifact.of("model", out / "model", out / "model" / MANIFEST))
        return {"transitions": data.steps, "seconds": seconds}

    title = "1/7 collect and fit: no task is rewarded but the source tasks"
    learned = stored.do("learn", title, learn)

    # 2. The model and learned reward heads solve every task and recipe, with the true simulator as the upper bound.
    labels = min(LABELS, config.steps // 2)  # a tiny demo has no more
    how = EvalConfig(
        env=config.env, model=str(out / "model"), labels=labels, planner=config.planner, horizon=config.horizon,
        candidates=config.candidates, iterations=config.iterations, particles=config.particles, device=config.device,
    )  # fmt: skip
    oracle = replace(how, dynamics="oracle", reward="true", model=None, labels=None, **stages.ORACLE)
    title = "2/7 solve every task and recipe with learned rewards"
    stored.do("evaluate", title, lambda: evaluate("learned", how, everything, config.episodes))
    title = "3/7 the same with the true simulator and reward, as the upper bound"
    stored.do("oracle", title, lambda: evaluate("oracle", oracle, everything, 1))

    # 3. The same tasks with reward heads from few labels.
    few, episodes = [n for n in FEW_LABELS if n < labels], max(1, config.episodes // 2)
    title = "4/7 held-out tasks with reward heads from few labels"
    stored.do("labels", title, lambda: sum(
        evaluate(f"labels-{n}", replace(how, labels=n), held_out, episodes) for n in few
    ))  # fmt: skip

    # 4. A pool in which some fixtures are locked: `check` warns of their tasks, and a few episodes teach one of them.
    def check() -> dict[str, Any]:
        jobs = stages.scripted(round(LOCKED_SHARE * config.steps), config.seed + 1, stages.LOCKED)
        data = stages.collect_jobs(environment, out / "data-locked", jobs, workers, console)
        stages.train(
            environment, data, out / "locked", config.seed, EPOCHS["locked"], workers, part("locked")
        )
        return stages.check_all(out / "locked", workers)

    title = "5/7 a pool with locked fixtures: which tasks does `check` warn of?"
    checked = stored.do("check", title, check)
    title = "6/7 learn a locked fixture from a few episodes"
    adapted = stored.do("adapt", title, lambda: stages.adapt_all(out / "locked", later_seed, workers))

    # 5. Films, and the report.
    if config.video:
        names = list(shipped_recipes(config.env))
        media = out / "media"
        stored.do(
            "films", "7/7 film recipes", lambda: stages.film_recipes(how, names, later_seed, media, console)
        )
    parts = [out / "rows" / f"{name}.csv" for name in ("learned", "oracle", *(f"labels-{n}" for n in few))]
    rows, model = stages.join_rows(parts, out / "rows.csv"), Model.load(out / "model", device=config.device)
    scatter = stages.reward_scatter(model, ["drawer_half", "right_knob_on", "kettle_back_left", "tap_half"])
    stages.write_curves(model, out, scatter, checked)
    seconds = learned["seconds"] | {name: took for name, took in stored.seconds.items() if name != "learn"}
    summary = summarise(rows) | {
        "wall_seconds": seconds | {"total": sum(seconds.values())},
        "transitions": learned["transitions"], "adapt": adapted, "labels": stages.label_curve(rows),
        "check": {"auroc": checked["auroc"]}, "plan_ms": stages.measure_latency(how, environment),
        "settings": {name: str(v) if isinstance(v, Path) else v for name, v in asdict(config).items()},
    }  # fmt: skip
    write_json(out / "summary.json", summary)
    tracker.table("tasks", summary["tasks"])
    tracker.summary(summary)
    for video in listed(out / "media", "*.mp4"):
        tracker.film(video.stem, str(video))
    page = write_report(out)
    print_table(summary, console)
    console.say("")
    console.say(f"report: {page}   ({(monotonic() - began) / 60:.1f} minutes)")
    console.say(f"next: mbtransfer plan --model {out / 'model'} --recipe breakfast")
    return summary


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = monotonic()
    yield
    seconds[name] += monotonic() - began
