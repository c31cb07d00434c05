"""Check of a task before it runs: does the model know what the task needs?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.model import Model
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.mpc.task_reward import TaskReward
from planners.registry import make_planner
from tasks.simulator import Simulator
from tasks.task import Task
from tasks.task_starts import fresh_states
from world_models.dynamics.rollout import Imagination
from world_models.rewards.basis import quantity_names
from world_models.rewards.heads import Head

STARTS = 6
"""Starts from which a task is imagined."""

SEARCH = {"candidates": 48, "iterations": 2}

RISKY = 0.5
"""Risk from which on a warning is given."""


@dataclass(frozen=True)
class Finding:
    """What is known of a task before it is run; every share is from 0 to 1.

    Attributes:
        task: its name.
        coverage: share of the way from start to target, of the least known fixture, that the pool moved in.
        least_known: that fixture; empty where the task moves none.
        reward_error: share of held-out reward labels' variance that the head gets wrong.
        success_error: share of held-out states whose success the head gets wrong.
        imagined_success: share of imagined episodes that end in success.
        disagreement: percentile of the members' disagreement on those, among held-out transitions.
        risk: one minus coverage times imagined success.
        warning: what a user should know; empty where there is nothing to warn of.
    """

    task: str
    coverage: float
    least_known: str
    reward_error: float
    success_error: float
    imagined_success: float
    disagreement: float
    risk: float
    warning: str


def check_task(
    model: Model, task: Task, scene: Simulator, *, labels: int | None = None, seed: int = 0
) -> Finding:
    """Coverage of the states that the task needs, its head's error, and how it goes in imagination.

    Raises:
        ModelError: more labels than there are.
        TaskError: no start leaves the task undone.
    """
    heads = model.rewards([task], labels)
    head = heads.heads[task.name]
    states = fresh_states(scene, task, np.random.default_rng([seed, 3]), STARTS)
    obs = torch.from_numpy(scene.observe(states)).to(model.device)
    coverage, least = _coverage(model, head, obs)
    success, spread = _imagine(
        model, TaskReward(heads, torch.ones(STARTS, 1, device=model.device)), heads, obs, seed
    )
    percentile = float(np.mean(np.array(model.notes["disagreement_percentiles"]) < spread))
    risk = 1.0 - coverage * success
    return Finding(
        task.name, coverage, least, head.reward_error, head.success_error, success, percentile, risk,
        _warning(coverage, least, success, percentile),
    )  # fmt: skip


def _coverage(model: Model, head: Head, obs: Float[Tensor, "n O"]) -> tuple[float, str]:
    """How much of the way to the states that count as success was seen, for the least known fixture."""
    box, names = head.box, quantity_names(model.dynamics.layout)
    if head.success_net is None and bool((box.low > box.high).any()):
        return 0.0, "success"
    if head.success_net is None and not bool((torch.isfinite(box.low) | torch.isfinite(box.high)).any()):
        return 0.0, "failure"
    shares = {}
    for quantity, low, high in zip(box.quantity.tolist(), box.low.tolist(), box.high.tolist(), strict=True):
        fixtures = [f for f in model.environment.spec.fixtures if f.name == names[quantity]]
        if not fixtures or low == -high == -torch.inf:
            continue
        fixture = fixtures[0]
        target = fixture.low + fixture.span * (max(low, 0.0) + min(high, 1.0)) / 2
        starts = obs[:, fixture.position].tolist()
        shares[fixture.name] = _mean([model.coverage.visited(fixture, start, target) for start in starts])
    least = min(shares, key=shares.__getitem__, default="")
    return shares.get(least, 1.0), least


def _imagine(
    model: Model, goal: TaskReward, heads: Any, obs: Float[Tensor, "n O"], seed: int
) -> tuple[float, float]:
    """Model-predictive control in the model's own world: share of successes, mean disagreement per step."""
    bounds = action_bounds(model.environment.spec, model.device)
    agent = MPCAgent(
        LearnedDynamics(Imagination(model.dynamics, 2)), make_planner("mppi", bounds, SEARCH), bounds, seed
    )
    world = Imagination(model.dynamics, len(model.dynamics.elites), "mean")
    reached = torch.zeros(len(obs), dtype=torch.bool, device=obs.device)
    spread = []
    for _ in range(0, model.environment.spec.episode_steps, 2):
        agent.act(obs, np.zeros(0), goal)
        assert agent.plan is not None
        step = world(obs, agent.plan.actions[:, :2])
        spread.append(float(step.disagreement()[0].square().mean(dim=-1).sqrt().mean()))
        obs = step.obs[-1, 0]
        reached |= heads.success(obs)[..., 0] > 0.5
        if bool(reached.all()):
            break
    return float(reached.float().mean()), _mean(spread)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _warning(coverage: float, least: str, success: float, percentile: float) -> str:
    if least == "success":
        return "no state of the pool fulfils this task: adapt the model with a few episodes first"
    if least == "failure":
        return (
            "every state of the pool fulfils this task, so nothing is known of how to reach it: adapt first"
        )
    if coverage < RISKY:
        return (
            f"the pool moved {least} in only {coverage:.0%} of the way that this needs: adapt the model first"
        )
    if success < RISKY:
        return f"even in imagination only {success:.0%} of the episodes succeed"
    if percentile > 0.95:
        return f"the members disagree more than on {percentile:.0%} of held-out transitions"
    return ""


def as_dict(finding: Finding) -> dict[str, Any]:
    """For JSON."""
    return asdict(finding)
