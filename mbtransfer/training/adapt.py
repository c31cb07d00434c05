"""Few-shot adaptation: collect a few episodes of a new task, then fine-tune."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mbtransfer.collection.planning_policy import PlannerBehaviour
from mbtransfer.collection.policies import babbling
from mbtransfer.collection.rollout import run_lockstep
from mbtransfer.data.coverage import Coverage
from mbtransfer.data.episode import Episode
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.agent import MPCAgent, action_bounds
from mbtransfer.mpc.objective import LearnedDynamics
from planners.registry import make_planner
from tasks.simulator import Simulator
from tasks.task import Task
from tasks.task_starts import fresh_states
from world_models.adaptation.adapt import Adapted, adapt, check_adaptable
from world_models.dynamics.rollout import Imagination
from world_models.transitions import Transitions

NOISE = 0.4
"""Noise on the planner's actions in the new task, for exploration, as a share of half the action range."""

PROBES = 2
"""Number of probing episodes before the first planned one."""

ROUNDS = (2, 4, 8, 16, 32)
"""Numbers of episodes after which the model is fine-tuned again before more are run."""

FRESH = 0.1
"""New transitions added to the pool, as a share of its size: labels are most valuable where the task happens."""


@dataclass(frozen=True, eq=False)
class Adaptation:
    """An adapted model, the result of fine-tuning, and the episodes."""

    model: Model
    result: Adapted | None
    episodes: list[Episode]


def adapt_model(model: Model, task: Task, episodes: int, scene: Simulator, seed: int = 0) -> Adaptation:
    """Run a few episodes of the task in the true simulator and fine-tune on them; see `adaptations`.

    Raises:
        UserError: a negative number of episodes.
        ModelError: a model that cannot be adapted.
    """
    *_, (_, last) = adaptations(model, task, (episodes,), scene, seed)
    return last


def adaptations(
    model: Model, task: Task, counts: Sequence[int], scene: Simulator, seed: int = 0
) -> Iterator[tuple[int, Adaptation]]:
    """Yield the adapted model after each of several numbers of episodes of a task.

    The first episodes, and every fourth one later, probe the handles of the task's fixtures. The others plan with noise
    in the model adapted so far; for this, fine-tuning is repeated at `ROUNDS`, always from the given model. Episodes
    without success teach how things move, but not what counts as success. As long as there is no success, the given
    model is returned unchanged, so that few episodes do not make it worse.

    Raises:
        UserError: a negative number of episodes.
        ModelError: a model that cannot be adapted.
    """
    if min(counts) < 0:
        raise UserError(f"cannot adapt with {min(counts)} episodes; give 0 or more")
    check_adaptable(model.dynamics)
    gathered: list[Episode] = []
    adaptation = Adaptation(model, None, [])
    for stop in sorted({*counts, *(n for n in ROUNDS if n < max(counts))}):
        while len(gathered) < stop:
            gathered.append(practise(adaptation.model, task, scene, len(gathered), seed))
        if gathered:
            adaptation = _adapted(model, gathered, seed)
        if stop in counts:
            yield stop, adaptation if _shown(task, gathered) else Adaptation(model, None, list(gathered))


def practise(model: Model, task: Task, scene: Simulator, number: int, seed: int = 0) -> Episode:
    """Episode number `number` of a practice: it probes, or plans with noise in the model; see `adaptations`."""
    own = 1000 * seed + number
    probes = number < PROBES or number % 4 == 3
    return _probed(task, scene, own) if probes else _planned(model, task, scene, own)


def _shown(task: Task, gathered: list[Episode]) -> bool:
    """Whether any state solved the task; if not, the model is left unchanged, as success was never observed."""
    return any(bool(task.success(torch.from_numpy(episode.obs)).any()) for episode in gathered)


def _adapted(model: Model, gathered: list[Episode], seed: int) -> Adaptation:
    new, held_out = (part.to(model.device) for part in split(gathered))
    result = adapt(model.dynamics, model.pool, new, held_out, seed=seed)
    changed = replace(with_episodes(model, gathered), dynamics=result.dynamics, heads={})
    return Adaptation(changed, result, list(gathered))


def with_episodes(model: Model, gathered: Sequence[Episode]) -> Model:
    """The same dynamics and heads, with coverage and pool that know of more episodes."""
    coverage, spec = model.coverage, model.environment.spec
    for episode in gathered:
        coverage = coverage.plus(Coverage.of(spec, episode.obs[:-1], episode.obs[1:]))
    fresh = Transitions.join([part.to(model.device) for part in split(gathered)])
    copies = max(1, round(FRESH * len(model.pool) / len(fresh)))
    return replace(model, coverage=coverage, pool=Transitions.join([model.pool, *[fresh] * copies]))


def _probed(task: Task, scene: Simulator, seed: int) -> Episode:
    rng = np.random.default_rng([seed, 1])
    states = fresh_states(scene, task, rng, 1)
    behaviour = babbling(scene, 1, rng, fixtures=tuple(f.name for f in task.fixtures), probe=True)
    return run_lockstep(scene, behaviour, states, scene.spec.episode_steps, tag="babble", seed=seed)[0]


def _planned(model: Model, task: Task, scene: Simulator, seed: int) -> Episode:
    rng = np.random.default_rng([seed, 2])
    bounds = action_bounds(scene.spec, model.device)
    agent = MPCAgent(LearnedDynamics(Imagination(model.dynamics)), make_planner("mppi", bounds), bounds, seed)
    behaviour = PlannerBehaviour(agent, task.reward, NOISE, rng)
    states = fresh_states(scene, task, rng, 1)
    return run_lockstep(scene, behaviour, states, scene.spec.episode_steps, tag="planner", seed=seed)[0]


def split(episodes: Sequence[Episode]) -> tuple[Transitions, Transitions]:
    """Hold out every fifth segment of ten steps, so that even a single episode has both parts."""
    parts: tuple[list[Any], list[Any]] = ([], [])
    for e, episode in enumerate(episodes):
        obs, actions = torch.from_numpy(episode.obs), torch.from_numpy(episode.actions)
        stretch = (torch.arange(len(actions)) // 10 + e) % 5 == 4
        for part, rows in zip(parts, (~stretch, stretch), strict=True):
            part.append(Transitions(obs[:-1][rows], actions[rows], obs[1:][rows]))
    return Transitions.join(parts[0]), Transitions.join(parts[1])


def summary(adaptation: Adaptation) -> dict[str, Any]:
    """What an adaptation did, as plain values."""
    if adaptation.result is None:
        return {"taught": [], "donors": {}, "loss_before": None, "loss_after": None}
    result = adaptation.result
    return {
        "taught": list(result.taught), "donors": result.donors,
        "loss_before": result.before, "loss_after": result.after,
    }  # fmt: skip
