"""Active choice of the transitions to label: where heads disagree, and where plans for them lead.

A committee of heads (Seung et al. 1992, "Query by committee") judges transitions of the pool, and of plans that the
model imagines for each member, as a planner goes where a head promises most (Reddy et al. 2020, "Learning human
objectives by evaluating hypothetical behavior"; Lindner et al. 2021, "Information directed reward learning").
"""

import zlib

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.labels.label_file import LabelTable
from mbtransfer.labels.quality import subset
from mbtransfer.model import Model
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.controller import PARTICLES, PLANNER
from mbtransfer.mpc.objective import LearnedDynamics
from mbtransfer.mpc.task_reward import TaskReward
from planners.registry import make_planner
from world_models.dynamics.rollout import Imagination
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads
from world_models.transitions import Transitions

FIRST, FEWEST = 0.5, 20
"""Share of the labels, and at least how many, that are drawn at random before there is a head."""

ROUNDS = 4
"""Batches of labels after the random ones."""

MEMBERS = 4
"""Heads of the committee, each fitted on a random half of the labels."""

HELD_OUT = 1000
"""Transitions of the pool that are never labelled, so that heads can be judged by them; at most a fifth of it."""

CANDIDATES, STARTS, PLANS = 3000, 16, 3
"""Transitions of the pool among which to choose, and imagined episodes, at least; plans in a row in each of them."""

SEARCH = {"candidates": 48, "iterations": 2, "horizon": 10}


def label_counts(count: int, *, active: bool) -> list[int]:
    """How many labels there are after the random ones and, with `active`, after each further batch."""
    if not active:
        return [count]
    first = min(count, max(FEWEST, round(FIRST * count)))
    return sorted({first + (count - first) * i // ROUNDS for i in range(ROUNDS + 1)})


def held_out(model: Model, name: str) -> Transitions:
    """Transitions of the pool that are never labelled for the task of that name."""
    return model.pool[model.draw(name)[-_held_out(model) :]]


def random_transitions(model: Model, name: str, table: LabelTable | None, count: int) -> Transitions:
    """The next transitions of the pool in the order in which those of a task are labelled, at most `count`.

    Args:
        model: its pool is used.
        name: of the task.
        table: what has been chosen before.
        count: how many to choose.
    """
    return _new(model.pool[model.draw(name)[: -_held_out(model)]], table)[slice(0, count)]


def active_transitions(model: Model, name: str, table: LabelTable, count: int) -> Transitions:
    """The transitions to label next, half from the pool and half from imagined plans.

    Args:
        model: its pool and its dynamics are used.
        name: of the task; the choice depends on it, on the labels and on nothing else.
        table: what has been labelled; at least 20 labels.
        count: how many to choose.

    Raises:
        ModelError: too few labels.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {len(table)}".encode()))
    heads = committee(model, table.labels, generator)
    seen = random_transitions(model, name, table, len(model.pool))
    seen = seen[torch.randperm(len(seen), generator=generator)[: max(CANDIDATES, 4 * count)]]
    imagined = _new(imagined_transitions(model, heads, max(STARTS, count // 10), generator), table)
    half = _chosen(heads, imagined, count // 2, generator)
    rest = _chosen(heads, seen, count - len(half), generator)
    return Transitions.join([seen[rest], imagined[half]])


def committee(model: Model, labels: Labels, generator: torch.Generator) -> RewardHeads:
    """Heads fitted on random halves of the labels.

    Raises:
        ModelError: too few labels.
    """
    heads = RewardHeads(model.dynamics.layout)
    for member in range(MEMBERS):
        half = torch.randperm(len(labels.reward), generator=generator)[: max(10, len(labels.reward) // 2)]
        heads.add(str(member), subset(labels, half))
    return RewardHeads(heads.layout, {name: head.to(model.device) for name, head in heads.heads.items()})


def imagined_transitions(
    model: Model, heads: RewardHeads, starts: int, generator: torch.Generator
) -> Transitions:
    """Transitions of imagined episodes from states of the pool; each follows plans for one of the heads, in turns."""
    bounds = action_bounds(model.environment.spec, model.device)
    planner = make_planner(PLANNER, bounds, SEARCH)
    seed = int(torch.randint(2**31, (), generator=generator))
    agent = MPCAgent(LearnedDynamics(Imagination(model.dynamics, PARTICLES)), planner, bounds, seed)
    world = Imagination(model.dynamics, len(model.dynamics.elites), "mean")
    rows = torch.randperm(len(model.pool), generator=generator)[:starts].to(model.device)
    obs = model.pool.obs[rows]
    which = torch.arange(len(obs), device=model.device) % len(heads.heads)
    goal = TaskReward(heads, torch.nn.functional.one_hot(which, len(heads.heads)).float())
    parts = []
    for _ in range(PLANS):
        agent.reset()
        agent.act(obs, np.zeros(0), goal)
        assert agent.plan is not None
        path = world(obs, agent.plan.actions).obs[:, 0].unbind()
        steps = zip(path[:-1], agent.plan.actions.unbind(dim=1), path[1:], strict=True)
        parts += [Transitions(*step) for step in steps]
        obs = path[-1]
    return Transitions.join(parts)


def _chosen(
    heads: RewardHeads, some: Transitions, count: int, generator: torch.Generator
) -> Int[Tensor, " n"]:
    """Which transitions to label: drawn by disagreement without replacement (Efraimidis and Spirakis 2006)."""
    reward = heads.reward(some.obs, some.actions, some.next_obs)
    reward = (reward - reward.mean(dim=0)) / reward.std(dim=0).clamp(min=1e-9)
    weight = (reward.std(dim=1) + heads.success(some.next_obs).std(dim=1)).cpu().double() + 1e-9
    keys = torch.rand(len(weight), generator=generator, dtype=torch.double).log() / weight
    return keys.topk(min(count, len(keys))).indices.to(reward.device)


def _held_out(model: Model) -> int:
    return min(HELD_OUT, len(model.pool) // 5)


def _new(some: Transitions, table: LabelTable | None) -> Transitions:
    """Those that are not in the table yet, each once."""
    seen = set() if table is None else set(_keys(table.transitions))
    fresh = {key: row for row, key in reversed([*enumerate(_keys(some))]) if key not in seen}
    return some[torch.tensor(sorted(fresh.values()), dtype=torch.long, device=some.obs.device)]


def _keys(some: Transitions) -> list[bytes]:
    whole: Float[Tensor, "B X"] = torch.cat([some.obs, some.actions, some.next_obs], dim=1)
    return [row.tobytes() for row in whole.cpu().numpy()]
