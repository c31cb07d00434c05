"""Check of a task before it runs: does the model know what the task needs?"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.labels.labelled_task import LabelledTask
from mbtransfer.model import Model
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.combined_reward import combined_rewards
from mbtransfer.mpc.controller import PARTICLES, PLANNER, with_horizon
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.mpc.task_reward import Rewards, TaskReward
from planners.registry import make_planner
from tasks.simulator import Simulator
from tasks.spec import Fixture
from tasks.task import Task, simple_parts
from tasks.task_starts import fresh_states
from world_models.dynamics.rollout import Imagination
from world_models.rewards.boxes import Box
from world_models.rewards.head import Head

STARTS = 6
"""Number of start states from which a task is imagined."""

RISKY = 0.5
"""A risk above this is shown in red; coverage or imagined success below it causes a warning."""


@dataclass(frozen=True)
class Finding:
    """What is known about a task before it is run; every share is from 0 to 1.

    Attributes:
        task: name of the task.
        coverage: share of the way from start to target in which the pool moved the least known fixture.
        least_known: that fixture; empty if the task moves none.
        reward_error: share of the variance of held-out reward labels that the head does not explain.
        success_error: share of held-out states whose success the head predicts wrongly.
        imagined_success: share of imagined episodes that end in success, by the reward head.
        true_success: the same by the task's own predicate; None where it has none, or observations do not tell it.
        disagreement: percentile of the members' disagreement in these episodes, among held-out transitions.
        risk: one minus coverage times imagined success, by the predicate where there is one.
        warning: what a user should know; empty if there is nothing to warn about.
    """

    task: str
    coverage: float
    least_known: str
    reward_error: float
    success_error: float
    imagined_success: float
    true_success: float | None
    disagreement: float
    risk: float
    warning: str


def check_task(
    model: Model, task: Task, scene: Simulator, *, labels: int | None = None, seed: int = 0
) -> Finding:
    """Coverage of the states that the task needs, errors of its reward head, and success in imagination.

    Raises:
        ModelError: more labels than there are transitions.
        TaskError: no start state leaves the task unsolved.
    """
    parts = simple_parts(task)
    heads = model.rewards(parts, labels).heads
    rewards = combined_rewards([task], partial(model.rewards, labels=labels))
    states = fresh_states(scene, task, np.random.default_rng([seed, 3]), STARTS)
    obs = torch.from_numpy(scene.observe(states)).to(model.device)
    coverage, least = min(_coverage(model, part, heads[part.name], obs) for part in parts)
    success, true_success, spread = _imagine(model, task, rewards, obs, seed)
    percentile = float(np.mean(np.array(model.notes["disagreement_percentiles"]) < spread))
    risk = 1.0 - coverage * (success if true_success is None else true_success)
    warning = _warning(task, coverage, least, success, true_success, percentile)
    return Finding(
        task.name, coverage, least, max(head.reward_error for head in heads.values()),
        max(head.success_error for head in heads.values()),
        success, true_success, percentile, risk, warning,
    )  # fmt: skip


def _coverage(model: Model, task: Task, head: Head, obs: Float[Tensor, "n O"]) -> tuple[float, str]:
    """Covered share of the way to the states that count as success, and the least covered fixture."""
    boxes = head.boxes
    never = bool((boxes.low > boxes.high).any(dim=1).all())
    always = not bool((torch.isfinite(boxes.low) | torch.isfinite(boxes.high)).any())
    if head.success_net is None and (never or always):
        success = model.label(task, len(model.pool)).success  # the head may have had too few labels to tell
        mixed = bool(success.any() and not success.all())
        return (1.0, "") if mixed else (0.0, "success" if never else "failure")
    each = (Box(*(part[u] for part in vars(boxes).values())) for u in range(len(boxes.low)))
    return max(_box_coverage(model, head, box, obs) for box in each)


def _box_coverage(model: Model, head: Head, box: Box, obs: Float[Tensor, "n O"]) -> tuple[float, str]:
    """The same for the states in one box of the head's."""
    shares = {}
    for fixture, target in _targets(model, head, box):
        starts = obs[:, fixture.position].tolist()
        shares[fixture.name] = _mean([model.coverage.visited(fixture, start, target) for start in starts])
    least = min(shares, key=shares.__getitem__, default="")
    return shares.get(least, 1.0), least


def _targets(model: Model, head: Head, box: Box) -> Iterator[tuple[Fixture, float]]:
    """The fixtures that a box is about, and the middle of where it wants each."""
    quantities = head.quantities(model.dynamics.layout)
    for quantity, low, high in zip(box.quantity.tolist(), box.low.tolist(), box.high.tolist(), strict=True):
        if low == -high == -torch.inf:
            continue
        place = head.places[quantity - quantities.places.start] if quantity in quantities.places else None
        at = dict(zip(place.body.positions, place.point, strict=True)) if place else {}
        for fixture in model.environment.spec.fixtures:
            if fixture.position in at:
                yield fixture, at[fixture.position]
            elif fixture.name == quantities.names[quantity]:
                yield fixture, fixture.low + fixture.span * (max(low, 0.0) + min(high, 1.0)) / 2


def _imagine(
    model: Model, task: Task, rewards: Rewards, obs: Float[Tensor, "n O"], seed: int
) -> tuple[float, float | None, float]:
    """Run MPC inside the model: share of successes by the head and by the task, and mean disagreement per step."""
    goal = TaskReward(rewards, torch.ones(len(obs), 1, device=obs.device))
    bounds = action_bounds(model.environment.spec, model.device)
    planner = make_planner(PLANNER, bounds, with_horizon(model.environment))
    agent = MPCAgent(LearnedDynamics(Imagination(model.dynamics, PARTICLES)), planner, bounds, seed)
    world = Imagination(model.dynamics, len(model.dynamics.elites), "mean")
    reached = torch.zeros(len(obs), dtype=torch.bool, device=obs.device)
    truly = reached.clone()
    judged = not task.privileged and not isinstance(task, LabelledTask)
    spread = []
    for _ in range(0, model.environment.spec.episode_steps, 2):
        agent.act(obs, np.zeros(0), goal)
        assert agent.plan is not None
        step = world(obs, agent.plan.actions[:, :2])
        spread.append(float(step.disagreement()[0].square().mean(dim=-1).sqrt().mean()))
        obs = step.obs[-1, 0]
        reached |= rewards.success(obs)[..., 0] > 0.5
        if judged:
            truly |= task.success(obs)
        if bool((reached & truly if judged else reached).all()):
            break
    true_success = float(truly.float().mean()) if judged else None
    return float(reached.float().mean()), true_success, _mean(spread)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _warning(
    task: Task, coverage: float, least: str, success: float, true_success: float | None, percentile: float
) -> str:
    if isinstance(task, LabelledTask) and least in ("success", "failure"):
        return f"no label is a {least}: label transitions that are"
    if least == "success":
        return "no state of the pool fulfils this task: adapt the model with a few episodes first"
    if least == "failure":
        return (
            "every state of the pool fulfils this task, so nothing is known of how to reach it: adapt first"
        )
    if coverage < RISKY:
        return (
            f"the pool moved {least} over only {coverage:.0%} of the way to the target: adapt the model first"
        )
    if success < RISKY and (true_success is None or true_success < RISKY):
        return f"only {success:.0%} of the episodes succeed even in imagination"
    if true_success is not None and true_success < RISKY:
        return (
            f"plans for the learned reward fulfil the task in only {true_success:.0%} of the imagined episodes: "
            "plan with --reward true, or label more transitions near the goal"
        )
    if percentile > 0.95:
        return f"the ensemble members disagree more than on {percentile:.0%} of the held-out transitions"
    return ""


def as_dict(finding: Finding) -> dict[str, Any]:
    """The finding as plain values, for JSON."""
    return asdict(finding)
