"""`mbtransfer adapt`: few-shot adaptation to a new task, with a measure of forgetting."""

from typing import Any

import numpy as np

from mbtransfer.config import AdaptConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.task_selection import find_task
from mbtransfer.model import Model
from mbtransfer.mpc.controller import model_controller
from mbtransfer.runtime.files import check_writable, output_lock, write_json
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.task_file import load_task_file
from mbtransfer.tracking import Artifact, track
from mbtransfer.training.adapt import adapt_model, summary
from tasks.task import Task
from world_models.checkpoint.checkpoint import MANIFEST

NEW_EPISODES = 10
OLD_EPISODES = 2


def run_adapt(config: AdaptConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Measure success, adapt the model, measure success again and save the adapted model.

    Raises:
        UserError, TaskError, ModelError: the input is wrong.
    """
    console = console or Terminal()
    check_writable(config.json)
    if config.out.resolve() == config.model.resolve():
        raise UserError(f"--out {config.out} is the model itself; name another folder")
    model = Model.load(config.model, device=config.device, trust_code=config.trust_code)
    model.environment.need_simulator("adapt", "log more episodes, import them and fit again")
    own = load_task_file(config.task_file, model.environment) if config.task_file else []
    task = find_task(model.environment, config.task, own)
    settings = {"candidates": config.candidates, "iterations": config.iterations, "horizon": config.horizon}
    search = (config.planner, {key: value for key, value in settings.items() if value}, config.particles)
    old = [one for one in model.environment.tasks.values() if one.split == "source" and one != task]
    with output_lock(config.out), track("adapt", config, config.out) as tracker:
        tracker.uses(Artifact.of("model", config.model, config.model / MANIFEST))
        before = success(model, [task], NEW_EPISODES, config.seed, search)
        old_before = success(model, old, OLD_EPISODES, config.seed, search)
        tracker.log({"new_success": before, "old_success": old_before}, "episodes", 0)
        adaptation = adapt_model(model, task, config.episodes, model.environment.make_scene(()), config.seed)
        after = success(adaptation.model, [task], NEW_EPISODES, config.seed, search)
        old_after = success(adaptation.model, old, OLD_EPISODES, config.seed, search)
        tracker.log({"new_success": after, "old_success": old_after}, "episodes", config.episodes)
        adaptation.model.save(config.out)
        found = {
            "task": task.name, "episodes": config.episodes, "new": {"before": before, "after": after},
            "old": {"before": old_before, "after": old_after, "lost": old_before - old_after},
            **summary(adaptation),
        }  # fmt: skip
        if config.json:
            write_json(config.json, found)
        tracker.makes(Artifact.of("model", config.out, config.out / MANIFEST))
        tracker.summary(found)
    console.say(f"{task.name}: success {before:.0%} before, {after:.0%} after {config.episodes} episodes")
    console.say(f"source tasks: {old_before:.0%} before, {old_after:.0%} after")
    for name, donor in adaptation.result.donors.items() if adaptation.result else ():
        console.say(f"{name} never moved before; its block began as that of {donor}")
    if adaptation.result is None and config.episodes:
        console.say("no episode fulfilled the task, so the model is left as it was: give more --episodes")
    console.say(f"wrote {config.out}")
    return found


def success(
    model: Model, tasks: list[Task], episodes: int, seed: int, search: tuple[str, dict[str, int], int]
) -> float:
    """Mean success rate over tasks."""
    planner, settings, particles = search
    controller = model_controller(
        model.environment, model.dynamics, rewards=model.rewards, planner=planner, settings=settings,
        particles=particles, device=model.device,
    )  # fmt: skip
    rates = [
        np.mean([played.result.success for played in play_episodes(controller, task, seed, episodes)])
        for task in tasks
    ]
    return float(np.mean(rates)) if rates else 1.0
