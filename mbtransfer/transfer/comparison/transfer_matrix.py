"""The transfer matrix: what was learned for task i, acting in task j.

A policy acts in the other task as it is; a planner plans for the reward head of task i while task j judges. Success on
the diagonal is that of the comparison itself. See "Taskonomy" (Zamir et al. 2018) for such matrices between vision
tasks.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import Rewards
from mbtransfer.transfer.comparison.runs import TransferRun
from tasks.task import Task


def learned_for(controller: Controller, task: Task) -> Controller:
    """The controller that pursues a task wherever it is put; a policy does so anyway."""

    def rewards(asked: Sequence[Task]) -> Rewards:
        return controller.rewards([task])

    return replace(controller, rewards=rewards, prepared=None)


def with_row(
    run: TransferRun, controller: Controller, task: Task, others: Sequence[Task], episodes: int
) -> TransferRun:
    """The run of a task, with its row of the matrix: success in each of some other tasks, and what that took.

    Args:
        run: to add to.
        controller: acts in the task.
        task: what it was learned for.
        others: where it is tried.
        episodes: in each of them.
    """
    began, pursuing = perf_counter(), learned_for(controller, task)
    elsewhere = {
        other.name: float(
            np.mean([one.result.success for one in play_episodes(pursuing, other, run.seed, episodes)])
        )
        for other in others
    }
    return replace(run, elsewhere=elsewhere, elsewhere_seconds=perf_counter() - began)


def matrices(runs: Sequence[TransferRun]) -> list[dict[str, Any]]:
    """For each method that was tried elsewhere: `method`, `tasks`, `success` [i, j] and the `seconds` that it took.

    Rows of runs that failed are None.
    """
    rows = [run for run in runs if run.elsewhere]
    found = []
    for name in dict.fromkeys(run.method for run in rows):
        own = {run.target: run for run in rows if run.method == name}
        tasks = list(dict.fromkeys(task for run in own.values() for task in (run.target, *run.elsewhere)))
        success = [
            [float(np.mean(own[i].success)) if i == j else own[i].elsewhere.get(j) for j in tasks]
            if i in own
            else [None] * len(tasks)
            for i in tasks
        ]
        seconds = sum(run.elsewhere_seconds for run in own.values())
        found.append({"method": name, "tasks": tasks, "success": success, "seconds": seconds})
    return found
