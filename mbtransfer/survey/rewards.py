"""What control steps are worth: to every named task, and to whoever paid when they were made."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.dataset import Dataset, Transitions
from tasks.task import Task

JUDGED = 2000
"""Control steps of the sample that are shown to a task judged by states: the simulator is asked about each."""


def task_rewards(tasks: Iterable[Task], sample: Transitions) -> dict[str, Any]:
    """Mean and highest reward of each task, and the share of control steps that end in success; None in endless tasks.

    Tasks that the simulator's state judges see observations widened by it; without state they are left out.
    """
    plain = [torch.from_numpy(part) for part in (sample.obs, sample.actions, sample.next_obs)]
    some = np.linspace(0, len(sample) - 1, min(len(sample), JUDGED)).astype(int)
    sides = (sample.obs, sample.state), (sample.next_obs, sample.next_state)
    before, after = (_widened(obs[some], state[some]) for obs, state in sides)
    wide = [before, plain[1][some], after]
    found = {}
    for task in tasks:
        if task.needs_state and not sample.state.shape[1]:
            continue
        obs, actions, next_obs = wide if task.needs_state else plain
        with torch.no_grad():
            rewards, success = task.reward(obs, actions, next_obs), task.success(next_obs)
        mean, highest = float(rewards.double().mean()), float(rewards.max())
        found[task.name] = {
            "split": task.split,
            "mean": mean,
            "max": highest,
            "success": None if task.endless else float(success.double().mean()),
        }
    return found


def paid(dataset: Dataset) -> dict[str, Any] | None:
    """Mean and highest of the rewards that came with the episodes, and the mean return; None without rewards."""
    returns, steps, highest = list[float](), 0, -np.inf
    for episode in dataset.episodes():
        if episode.rewards is not None:
            returns.append(float(episode.rewards.sum()))
            steps, highest = steps + len(episode), max(highest, float(episode.rewards.max()))
    if not returns:
        return None
    total = float(np.sum(returns))
    return {
        "episodes": len(returns),
        "mean": total / steps,
        "max": highest,
        "return_mean": total / len(returns),
    }


def _widened(obs: Float[ndarray, "B O"], state: Float[ndarray, "B S"]) -> torch.Tensor:
    """As `Scene.witness` does."""
    return torch.from_numpy(np.concatenate([obs.astype(np.float64), state], axis=1))
