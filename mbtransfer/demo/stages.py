"""What the demo's stages do: learn, measure, test transfer, film."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mbtransfer.collection.collect import collect, missing, open_dataset
from mbtransfer.collection.jobs import CollectionJob, PlannerConfig, plan_units
from mbtransfer.collection.planning_policy import weights_digest
from mbtransfer.data import Dataset
from mbtransfer.diagnostics.check import check_task
from mbtransfer.diagnostics.novelty import auroc
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.episodes import decision_latency, play_episodes
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import make_runs
from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.video import film_episode
from mbtransfer.model import Model
from mbtransfer.mpc.controller import model_controller
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.executors import in_processes
from mbtransfer.runtime.files import write_json, write_text
from mbtransfer.runtime.progress import progress_bar
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import NULL_TRACKER, Tracker
from mbtransfer.training.adapt import adaptations, summary
from mbtransfer.training.fit import fit_model
from mbtransfer.training.progress import epochs_bar
from tasks.environment import Environment
from tasks.recipe import Recipe, find_recipe, shipped_recipes
from tasks.render import Renderer, RenderUnavailable
from tasks.task import Task
from world_models.training.trainer import TrainingConfig

ORACLE: dict[str, Any] = {"horizon": 10, "candidates": 32, "iterations": 2}
SCATTER = 150
"""Transitions per task in the picture of predicted against true rewards."""


def everything(environment: Environment) -> list[Task | Recipe]:
    """All named tasks and shipped recipes."""
    recipes = [find_recipe(name, environment) for name in shipped_recipes(environment.spec.name)]
    return [*environment.tasks.values(), *recipes]


def held_out(environment: Environment) -> list[Task | Recipe]:
    """The named tasks that no reward was given for."""
    return [task for task in environment.tasks.values() if task.split == "held_out"]


def run(
    config: EvalConfig,
    tasks: list[Task | Recipe],
    episodes: int,
    seed: int,
    rows: Path,
    workers: int,
    console: Terminal,
    tracker: Tracker = NULL_TRACKER,
) -> int:
    """Evaluate into a file of rows; the number of episodes."""
    runs = make_runs(tasks, [seed], episodes)
    frame = evaluate_runs(config, runs, workers=workers, rows=rows, console=console, tracker=tracker)
    return len(frame)


def join_rows(files: list[Path], out: Path) -> pd.DataFrame:
    """All rows in one file, as the report wants them."""
    parts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    header = parts[0].partition("\n")[0]
    write_text(out, "".join([header, "\n", *(part.partition("\n")[2] for part in parts)]))
    return read_rows(out)


def measure_latency(config: EvalConfig, environment: Environment) -> dict[str, float]:
    """Milliseconds of one decision in one episode on one thread."""
    task = next(task for task in environment.tasks.values() if task.split == "held_out")
    with threads(1):
        return decision_latency(config.resolve().controller, task)


def reward_scatter(model: Model, names: list[str]) -> list[dict[str, Any]]:
    """True rewards beside those of heads, on transitions of the pool."""
    found = []
    rows = torch.arange(0, len(model.pool), max(1, len(model.pool) // SCATTER), device=model.device)
    some = model.pool[rows]
    for name in names:
        task = model.environment.task(name)
        true = task.reward(some.obs, some.actions, some.next_obs)
        predicted = model.rewards([task], 1000).reward(some.obs, some.actions, some.next_obs)[..., 0]
        found.append(
            {"task": f"{name} (1,000 labels)", "true": true.tolist(), "predicted": predicted.tolist()}
        )
    return found


ON_POLICY = 0.06
"""Share of the control steps that the planner collects with the first model."""

EPISODE_STEPS = 30
NEAR = 0.7
"""Share of scripted episodes that start with the hand close to a handle: contact is what must be learned."""

CANDIDATES = 48
"""Plans compared while the planner collects: rough plans do, as noise is added to them anyway."""


def collect_jobs(
    environment: Environment, folder: Path, units: list[CollectionJob], workers: int, console: Terminal
) -> Dataset:
    """Do the units with a progress bar."""
    dataset = open_dataset(environment, str(folder))
    total = sum(unit.total_steps for unit in units)
    left = sum(unit.total_steps for unit in missing(dataset, units))
    with progress_bar(console, "collecting", total, "steps", total - left) as advance:
        collect(environment, dataset, units, workers, lambda unit: advance(unit.total_steps))
    return dataset


def scripted(steps: int, seed: int, locked: tuple[str, ...] = ()) -> list[CollectionJob]:
    """Babbling, reaching and noise: no model, no reward."""
    return plan_units(steps, seed, episode_steps=EPISODE_STEPS, near=NEAR, locked=locked)


def on_policy(steps: int, seed: int, environment: Environment, model: Path) -> list[CollectionJob]:
    """The planner on source tasks, and the same with a bonus for what the model does not know."""
    tasks = tuple(name for name, task in environment.tasks.items() if task.split == "source")
    digest = weights_digest(model, environment)
    planning = PlannerConfig(
        model=str(model), model_digest=digest, noise=0.3, candidates=CANDIDATES, particles=2, chain=True
    )
    return plan_units(
        steps, seed, {"planner": 0.75, "explore": 0.25}, episode_steps=50, unit_episodes=14, tasks=tasks,
        near=0.0, planning=planning,
    )  # fmt: skip


def train(
    environment: Environment, dataset: Dataset, out: Path, seed: int, epochs: int, cores: int,
    tracker: Tracker = NULL_TRACKER,
) -> Model:  # fmt: skip
    """Fit with a progress bar, on all cores."""
    with threads(cores), epochs_bar(epochs, tracker=tracker) as show:
        return fit_model(
            environment, dataset, out, seed=seed, settings=TrainingConfig(epochs=epochs), report=show
        )


LOCKED = ("light_switch", "slide_cabinet", "microwave")
NEW_TASK = "light_on"
COUNTS = (0, 1, 5, 10)
NEW_EPISODES = 20
OLD_EPISODES = 4
SEARCH: dict[str, int] = {}


def knows(task: Task) -> bool:
    """Whether the locked pool saw all of the task's fixtures move."""
    return not any(fixture.name in LOCKED for fixture in task.fixtures)


def check_all(folder: Path, workers: int) -> dict[str, Any]:
    """The risk of every named task under the locked model, and how well it tells the unknown ones."""
    model = Model.load(folder, device="cpu")
    tasks = list(model.environment.tasks.values())
    risk = dict(in_processes(partial(_risk, str(folder)), [task.name for task in tasks], workers))
    known = np.array([knows(task) for task in tasks])
    score = np.array([risk[task.name] for task in tasks])
    return {
        "auroc": auroc(score[~known], score[known]), "score": score.tolist(), "visited": known.astype(int).tolist(),
        "fixture": [task.name for task in tasks],
    }  # fmt: skip


def _risk(folder: str, name: str) -> float:
    with threads(1):
        model = Model.load(folder, device="cpu")
        return check_task(model, model.environment.task(name), model.environment.make_scene(())).risk


def adapt_all(folder: Path, seed: int, workers: int) -> dict[str, Any]:
    """Success on the new task and on the old ones after 0, 1, 5 and 10 episodes."""
    model = Model.load(folder, device="cpu")
    task, scene = model.environment.task(NEW_TASK), model.environment.make_scene(())
    old = [name for name, one in model.environment.tasks.items() if one.split == "source" and knows(one)]
    curve: dict[str, Any] = {"task": NEW_TASK, "locked": list(LOCKED), "episodes": [], "new": [], "old": []}
    for count, adaptation in adaptations(model, task, COUNTS, scene, seed):
        where = folder / f"adapted-{count}"
        adaptation.model.save(where)
        jobs = [(NEW_TASK, NEW_EPISODES), *((name, OLD_EPISODES) for name in old)]
        rates = dict(in_processes(partial(_rate, str(where), seed), jobs, workers))
        curve["episodes"].append(count)
        curve["new"].append(rates.pop((NEW_TASK, NEW_EPISODES)))
        curve["old"].append(float(np.mean(list(rates.values()))))
        curve["how"] = summary(adaptation)
    return curve


def _rate(folder: str, seed: int, job: tuple[str, int]) -> float:
    name, episodes = job
    with threads(1):
        model = Model.load(folder, device="cpu")
        controller = model_controller(
            model.environment, model.dynamics, rewards=model.rewards, settings=SEARCH, particles=2
        )
        played = play_episodes(controller, model.environment.task(name), seed, episodes)
    return float(np.mean([one.result.success for one in played]))


FILMED = 4
"""Recipes filmed; rendering in software takes a while."""

SIZE = (400, 300)


def film_recipes(
    config: EvalConfig, names: list[str], seed: int, media: Path, console: Terminal
) -> dict[str, Any]:
    """A film and a strip of the first recipes, each done once more; nothing where there is no renderer."""
    controller = config.resolve().controller
    try:
        renderer = Renderer(controller.scene, *SIZE)
    except RenderUnavailable as error:
        console.say(f"no films: {error}")
        return {"films": [], "why": str(error)}
    media.mkdir(parents=True, exist_ok=True)
    with threads(1), renderer:
        for name in names[:FILMED]:
            played = play_episodes(controller, find_recipe(name, controller.environment), seed, 1)[0]
            film_episode(
                controller.scene,
                played,
                video=media / f"{name}.mp4",
                strip=media / f"{name}.png",
                renderer=renderer,
            )
    return {"films": names[:FILMED], "why": ""}


def write_curves(model: Model, out: Path, reward: list[dict[str, Any]], check: dict[str, Any]) -> None:
    """The files of which the report draws its curves."""
    write_text(out / "fit.csv", pd.DataFrame(model.notes["curve"]).to_csv(index=False))
    notes = {name: model.notes.get(name) for name in ("horizon_error", "disagreement", "interval_coverage")}
    write_json(out / "diagnostics.json", notes | {"reward": reward, "check": check})


def label_curve(frame: pd.DataFrame) -> dict[str, list[float]]:
    """Success on held-out tasks by the number of labels behind each head."""
    learned = frame[(frame["dynamics"] == "learned") & (frame["split"] == "held_out")]
    rates = learned.groupby(["labels", "task"])["success"].mean().groupby("labels").mean()
    return {"labels": [int(n) for n in rates.index], "success": [float(rate) for rate in rates]}
