"""What the pool never saw: fixtures locked while it was collected, found by `check`, learned by `adapt`."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mbtransfer.adapt import adaptations, summary
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.evaluation.pilot import learned_pilot
from mbtransfer.model import Model
from mbtransfer.threads import threads
from mbtransfer.trust.check import check_task
from mbtransfer.trust.never_visited import auroc
from mbtransfer.workers import in_processes
from tasks.task import Task

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
        pilot = learned_pilot(
            model.environment, model.dynamics, rewards=model.rewards, settings=SEARCH, particles=2
        )
        played = play_episodes(pilot, model.environment.task(name), seed, episodes)
    return float(np.mean([one.result.success for one in played]))
