"""The stages of the demo in order; a rerun continues after the last finished one."""

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
from mbtransfer.tracking import NULL_TRACKER, Artifact, PrefixedTracker, Tracker, track
from tasks.recipe import shipped_recipes
from tasks.registry import make
from world_models.checkpoint.atomic import listed
from world_models.checkpoint.checkpoint import MANIFEST

EPOCHS = {"first": 4, "model": 20, "locked": 16}
LOCKED_SHARE = 0.7
"""Size of the pool with locked fixtures, as a share of the main one."""

FEW_LABELS = (100, 1_000)
LATER_SEED = 1_000
"""Evaluation uses seeds from here on, so that no episode is like one that was collected."""


def demo(config: DemoConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Collect, fit, measure, adapt, film, report.

    Raises:
        UserError: the folder holds another demo, or cannot be written.
    """
    run = _Demo(config, console or Terminal())
    with output_lock(config.out), track("demo", config, config.out) as tracker:
        return run.run(tracker)


class _Demo:
    """One demo in one folder."""

    def __init__(self, config: DemoConfig, console: Terminal) -> None:
        self.config, self.console, self.out = config, console, config.out
        check_writable(config.out / "summary.json")
        self.environment = make(config.env)
        kept = (
            "seed",
            "env",
            "steps",
            "episodes",
            "planner",
            "particles",
            "candidates",
            "iterations",
            "horizon",
        )
        settings = {name: getattr(config, name) for name in kept}
        self.stages = Stages(config.out / "stages", settings | {"version": __version__}, console)
        self.seed = LATER_SEED + config.seed
        self.tracker: Tracker = NULL_TRACKER

    def run(self, tracker: Tracker) -> dict[str, Any]:
        """All stages."""
        self.tracker = tracker
        began, do = monotonic(), self.stages.do
        learned = do("learn", "1/7 collect and fit: no task is rewarded but the source tasks", self._learn)
        do("evaluate", "2/7 solve every task and recipe with learned rewards", self._evaluate)
        do("oracle", "3/7 the same with the true simulator and reward, as the upper bound", self._oracle)
        do("labels", "4/7 held-out tasks with reward heads from few labels", self._labels)
        check = do("check", "5/7 a pool with locked fixtures: which tasks does `check` warn of?", self._check)
        adapt = do("adapt", "6/7 learn a locked fixture from a few episodes", self._adapt)
        if self.config.video:
            do("films", "7/7 film recipes", self._films)
        return self._finish(learned, check, adapt, monotonic() - began)

    def _learn(self) -> dict[str, Any]:
        config, environment, parts = self.config, self.environment, {"collect": 0.0, "fit": 0.0}

        def timed(part: str, work: Any) -> Any:
            began = monotonic()
            result = work()
            parts[part] += monotonic() - began
            return result

        planned = round(config.steps * stages.ON_POLICY)
        units = stages.scripted(config.steps - planned, config.seed)
        data, first = self.out / "data", self.out / "first"
        dataset = timed(
            "collect", lambda: stages.collect_jobs(environment, data, units, config.workers, self.console)
        )
        if not (first / "manifest.json").is_file():
            timed(
                "fit",
                lambda: stages.train(
                    environment,
                    dataset,
                    first,
                    config.seed,
                    EPOCHS["first"],
                    config.workers,
                    PrefixedTracker(self.tracker, "first"),
                ),
            )
        units = stages.on_policy(planned, config.seed, environment, first)
        dataset = timed(
            "collect", lambda: stages.collect_jobs(environment, data, units, config.workers, self.console)
        )
        out, epochs = self.out / "model", EPOCHS["model"]
        kept = PrefixedTracker(self.tracker, "model")
        timed(
            "fit", lambda: stages.train(environment, dataset, out, config.seed, epochs, config.workers, kept)
        )
        self.tracker.makes(Artifact("dataset", str(data), dataset.digest))
        self.tracker.makes(Artifact.of("model", out, out / MANIFEST))
        return {"transitions": dataset.steps, "seconds": parts}

    def _setup(self, **changes: Any) -> EvalConfig:
        c = self.config
        setup = EvalConfig(
            env=c.env, model=str(self.out / "model"), labels=self._most_labels(), planner=c.planner, horizon=c.horizon,
            candidates=c.candidates, iterations=c.iterations, particles=c.particles, device=c.device,
        )  # fmt: skip
        return replace(setup, **changes)

    def _most_labels(self) -> int:
        """Labels behind each head; fewer in a demo so small that its pool has not so many."""
        return min(LABELS, self.config.steps // 2)

    def _few_labels(self) -> list[int]:
        return [n for n in FEW_LABELS if n < self._most_labels()]

    def _measure(self, name: str, setup: EvalConfig, asked: list[Any], episodes: int) -> int:
        rows = self.out / "rows" / f"{name}.csv"
        rows.parent.mkdir(parents=True, exist_ok=True)
        kept = PrefixedTracker(self.tracker, name)
        return stages.run(setup, asked, episodes, self.seed, rows, self.config.workers, self.console, kept)

    def _evaluate(self) -> int:
        return self._measure(
            "learned", self._setup(), stages.everything(self.environment), self.config.episodes
        )

    def _oracle(self) -> int:
        setup = self._setup(dynamics="oracle", reward="true", model=None, labels=None, **stages.ORACLE)
        return self._measure("oracle", setup, stages.everything(self.environment), 1)

    def _labels(self) -> int:
        asked, episodes = stages.held_out(self.environment), max(1, self.config.episodes // 2)
        return sum(
            self._measure(f"labels-{n}", self._setup(labels=n), asked, episodes) for n in self._few_labels()
        )

    def _check(self) -> dict[str, Any]:
        config, folder = self.config, self.out / "locked"
        units = stages.scripted(round(LOCKED_SHARE * config.steps), config.seed + 1, stages.LOCKED)
        data = self.out / "data-locked"
        dataset = stages.collect_jobs(self.environment, data, units, config.workers, self.console)
        kept = PrefixedTracker(self.tracker, "locked")
        stages.train(self.environment, dataset, folder, config.seed, EPOCHS["locked"], config.workers, kept)
        return stages.check_all(folder, config.workers)

    def _adapt(self) -> dict[str, Any]:
        return stages.adapt_all(self.out / "locked", self.seed, self.config.workers)

    def _films(self) -> dict[str, Any]:
        names = list(shipped_recipes(self.config.env))
        return stages.film_recipes(self._setup(), names, self.seed, self.out / "media", self.console)

    def _finish(self, learned: Any, check: Any, adapt: Any, wall: float) -> dict[str, Any]:
        out = self.out
        files = [
            out / "rows" / f"{name}.csv"
            for name in ("learned", "oracle", *(f"labels-{n}" for n in self._few_labels()))
        ]
        frame = stages.join_rows(files, out / "rows.csv")
        model = Model.load(out / "model", device=self.config.device)
        scatter = stages.reward_scatter(
            model, ["drawer_half", "right_knob_on", "kettle_back_left", "tap_half"]
        )
        stages.write_curves(model, out, scatter, check)
        seconds = learned["seconds"] | {k: v for k, v in self.stages.seconds.items() if k != "learn"}
        summary = summarise(frame) | {
            "wall_seconds": seconds | {"total": sum(seconds.values())},
            "transitions": learned["transitions"], "adapt": adapt, "labels": stages.label_curve(frame),
            "check": {"auroc": check["auroc"]}, "plan_ms": stages.measure_latency(self._setup(), self.environment),
            "settings": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self.config).items()},
        }  # fmt: skip
        write_json(out / "summary.json", summary)
        self.tracker.table("tasks", summary["tasks"])
        self.tracker.summary(summary)
        for film in listed(out / "media", "*.mp4"):
            self.tracker.film(film.stem, str(film))
        page = write_report(out)
        print_table(summary, self.console)
        self.console.say("")
        self.console.say(f"report: {page}   ({wall / 60:.1f} minutes)")
        self.console.say(f"next: mbtransfer plan --model {out / 'model'} --recipe breakfast")
        return summary
