"""Diagnosis of a task that fails: does the reward head, the model or the search lose it?

The same episodes run with every combination of a learned or true reward, learned or true dynamics, and the usual or a
larger search. Each cause's share of the loss is its Shapley value: its mean effect over all orders in which the three
can be put right (Shapley 1953, "A value for n-person games"). The shares add up to the loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product
from typing import Any

import numpy as np
import torch

from mbtransfer.diagnostics.label_warnings import warn_of_labels
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import WITHOUT_SIMULATOR, EvalConfig, EvalContext
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.mpc.controller import with_horizon
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.executors import in_processes
from tasks.task import Task

CAUSES = ("reward head", "model", "search")

LARGER: dict[str, Any] = {"planner": "cem", "candidates": 96, "iterations": 3, "settings": ("elites=10",)}
"""The larger search; it looks as far ahead as the usual one, or as the default if that is farther."""

WORST = 3
"""Visited states shown at which head and truth differ most."""

SMALL = 0.1
"""A cause that loses less than this share of the episodes is not named."""

Cell = tuple[bool, bool, bool]
"""Whether reward, dynamics and search are put right."""


@dataclass(frozen=True)
class Parting:
    """A visited state in which the reward head and the task differ.

    Attributes:
        episode: number of the episode.
        step: control step.
        predicted: reward by the head, its mean over the visited states taken off.
        true: the same by the task.
        fixtures: position of each fixture that the task moves.
    """

    episode: int
    step: int
    predicted: float
    true: float
    fixtures: Mapping[str, float]


@dataclass(frozen=True)
class Diagnosis:
    """What a task loses, and to what.

    Attributes:
        task: name of the task.
        episodes: episodes per combination.
        success: success rate by what is put right: (reward, dynamics, search).
        loss: success that each of `CAUSES` loses; None for the model where there is no simulator to compare with.
        partings: where head and truth differ most, the worst first.
        advice: what to do next.
    """

    task: str
    episodes: int
    success: Mapping[Cell, float]
    loss: Mapping[str, float | None]
    partings: Sequence[Parting]
    advice: Sequence[str]

    @property
    def cause(self) -> str | None:
        """The main cause; None where none loses a tenth of the episodes, or most fail with everything put right."""
        return next(iter(_causes(self.success, self.loss)), None)


def diagnose(
    config: EvalConfig, task_name: str, *, episodes: int = 10, seed: int = 0, workers: int = 1,
    finished: Callable[[], None] | None = None,
) -> Diagnosis:  # fmt: skip
    """Run the episodes of a task with every combination of causes put right, and share out the loss.

    Args:
        config: how the task is usually done, with a learned model; its reward and dynamics are replaced.
        task_name: the task.
        episodes: per combination, from the same starts.
        seed: of the episodes.
        workers: processes.
        finished: called after each combination.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong.
    """
    usual = replace(config, dynamics="learned", reward="learned")
    context = usual.resolve()
    context.environment.need_simulator("diagnose", WITHOUT_SIMULATOR)
    task = context.find_task(task_name)
    if isinstance(task, LabelledTask):
        raise UserError(
            f"{task_name} is known by labels alone: there is no reward to compare its head with; use check"
        )
    warn_of_labels(context.model, [task], learned=True)
    has_simulator = not context.controller.scene.live
    every: list[Cell] = [(a, b, c) for a, b, c in product((False, True), repeat=3)]
    cells = [cell for cell in every if has_simulator or not cell[1]]
    if task.privileged:  # only the simulator tells its reward
        cells = [cell for cell in cells if cell[0] <= cell[1]]
    ahead = int(max(context.controller.settings["horizon"], with_horizon(context.environment)["horizon"]))
    larger = replace(usual, **LARGER, horizon=ahead)
    success: dict[Cell, float] = {}
    for cell, rate in in_processes(partial(_rate, usual, larger, task_name, seed, episodes), cells, workers):
        success[cell] = rate
        if finished:
            finished()
    loss = losses(success)
    return Diagnosis(
        task.name,
        episodes,
        success,
        loss,
        _partings(context, task, seed, episodes),
        _advice(success, loss, ahead),
    )


def _rate(
    usual: EvalConfig, larger: EvalConfig, task_name: str, seed: int, episodes: int, cell: Cell
) -> float:
    reward, dynamics, search = cell
    changed = replace(
        larger if search else usual,
        reward="true" if reward else "learned",
        dynamics="oracle" if dynamics else "learned",
    )
    with threads(1):
        context = changed.resolve()
        played = play_episodes(context.controller, context.find_task(task_name), seed, episodes)
    return float(np.mean([one.result.success for one in played]))


def losses(success: Mapping[Cell, float]) -> dict[str, float | None]:
    """The Shapley value of each cause; over the others where one could not be put right.

    Args:
        success: rate by what is put right; all combinations, or all with the model left as it is.
    """
    known = [i for i in range(3) if any(cell[i] for cell in success)]
    total = {i: list[float]() for i in known}
    for order in permutations(known):
        cell = [False] * 3
        for i in order:
            before = (cell[0], cell[1], cell[2])
            cell[i] = True
            after = (cell[0], cell[1], cell[2])
            if before in success and after in success:
                total[i].append(success[after] - success[before])
    shares = {CAUSES[i]: float(np.mean(found)) if found else None for i, found in total.items()}
    return {cause: shares.get(cause) for cause in CAUSES}


def _partings(context: EvalContext, task: Task, seed: int, episodes: int) -> list[Parting]:
    """The visited states at which the rewards of head and task, each less its mean, differ most."""
    if task.privileged:
        return []
    with threads(1):
        played = play_episodes(context.controller, task, seed, min(episodes, WORST))
    found: list[Parting] = []
    rewards = context.controller.rewards([task])
    for number, episode in enumerate(played):
        obs = torch.from_numpy(context.controller.scene.observe(episode.states)).float()
        action = torch.zeros(len(obs) - 1, context.environment.spec.action_size)
        device = context.controller.device
        predicted = rewards.reward(*(x.to(device) for x in (obs[:-1], action, obs[1:])))[:, 0].cpu()
        true = task.reward(obs[:-1], action, obs[1:])
        gap = (predicted - predicted.mean()) - (true - true.mean())
        step = int(gap.abs().argmax())
        where = {one.name: float(obs[step + 1, one.position]) for one in task.fixtures}
        found.append(
            Parting(
                number,
                step,
                float(predicted[step] - predicted.mean()),
                float(true[step] - true.mean()),
                where,
            )
        )
    return sorted(found, key=lambda one: -abs(one.predicted - one.true))


def _causes(success: Mapping[Cell, float], loss: Mapping[str, float | None]) -> list[str]:
    """Causes that are worth putting right, the main one first."""
    best, gain = max(success.values()), success[max(success)] - success[min(success)]
    if best < 0.5 or gain < SMALL:
        return []
    lost = {cause: share for cause, share in loss.items() if share is not None and share >= SMALL}
    return sorted(lost, key=lambda cause: -lost[cause])


def _advice(success: Mapping[Cell, float], loss: Mapping[str, float | None], ahead: int) -> list[str]:
    if max(success.values()) < 0.5:
        return [
            "even with everything put right most episodes fail: does the reward lead to success, is there time for it?"
        ]
    if success[max(success)] - success[min(success)] < SMALL:
        return ["nothing to put right loses more than a tenth of the episodes"]
    texts = {
        "reward head": "plan with --reward true, or label more transitions near the goal",
        "model": "collect where this task leads: `mbtransfer adapt`, or `mbtransfer collect --model MODEL --tasks ...`",
        "search": f"search more: --planner {LARGER['planner']} --candidates {LARGER['candidates']} "
        f"--iterations {LARGER['iterations']} --settings {' '.join(LARGER['settings'])} --horizon {ahead}",
    }
    return [texts[cause] for cause in _causes(success, loss)]
