"""What planners are worth where dynamics differ, and how well these are identified."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from benchmarks.dynamics_variants.knowledge import Knowledge
from benchmarks.dynamics_variants.world import World
from mbtransfer.collection.planning_policy import PlannerBehaviour
from mbtransfer.collection.rollout import run_lockstep
from mbtransfer.data.episode import Episode
from mbtransfer.mpc.agent import MPCAgent
from mbtransfer.mpc.controller import Controller
from tasks.hidden_parameters import DELAY, Ranges
from world_models.identification.fit import KnownEpisode, explained, identified

QUARTERS = (0.25, 0.5, 1.0)
"""Shares of the first episode after which identification is judged."""

PLANNERS = (
    "told",
    "identified",
    "identified, 2nd",
    "identified cvar",
    "ranges",
    "ranges cvar",
    "blind",
    "nominal",
)
"""`2nd` is an episode after the first in the same dynamics, with what was identified; all begin in the same states."""


def play(
    world: World, controller: Controller, states: Float[ndarray, "n S"], steps: int, seed: int,
    agent: MPCAgent | None = None,
) -> tuple[list[Episode], Float[ndarray, " n"], MPCAgent]:  # fmt: skip
    """Episodes from given states, what they are worth, and the agent, which may go on with what it knows."""
    scene, rng = world.scene(controller), np.random.default_rng(seed)
    agent = agent or controller.agent(seed)
    behaviour = PlannerBehaviour(agent, world.goal(controller, len(states)), 0.0, rng)
    episodes = run_lockstep(scene, behaviour, states, steps, tag="planner", seed=seed)
    return episodes, world.worth(episodes, controller), agent


def factor_variants(ranges: Ranges, factors: Sequence[float]) -> dict[str, Float[ndarray, " K"]]:
    """The environment as it is, and each parameter times each factor (or so many steps of delay), by name."""
    found = {"as it is": ranges.vector({})}
    for name in ranges.names:
        for factor in range(1, ranges.delay[1] + 1) if name == DELAY else factors:
            found[f"{name} {factor:g}"] = ranges.vector({name: factor})
    return found


def drawn_variants(
    ranges: Ranges, rng: np.random.Generator, count: int, beyond: float
) -> Float[ndarray, "n K"]:
    """Parameters drawn from the ranges or, all of them beyond, from ranges so many times as wide in the logarithm."""
    drawn = ranges.draw(rng, count)
    if beyond <= 1:
        return drawn
    low, high = (np.array([getattr(one, end) for one in ranges.parameters]) for end in ("low", "high"))
    middle, half = (low + high) / 2, (high - low) / 2
    factors = np.flatnonzero([name != DELAY for name in ranges.names])
    wide = np.array(drawn)
    wide[:, factors] = (middle + beyond * (drawn - middle))[:, factors]
    for row in np.flatnonzero(((low <= wide) & (wide <= high)).all(axis=1)):
        k = rng.choice(factors)
        side = 1.0 if wide[row, k] > middle[k] else -1.0
        wide[row, k] = middle[k] + side * half[k] * rng.uniform(1.0, beyond)
    return wide


def worst_tenth(worth: Float[ndarray, " n"]) -> float:
    """Mean of the worst tenth, at least of one."""
    return float(np.sort(worth)[: max(1, math.ceil(len(worth) / 10))].mean())


def measure(
    known: Knowledge,
    planners: Sequence[str],
    factors: Sequence[float],
    seed: int,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """What each planner is worth in each variant, and how well parameters were identified."""
    world, asked = known.world, known.settings
    rng = np.random.default_rng(10_000 + seed)
    chosen = factor_variants(world.ranges, factors)
    each = np.repeat(np.stack(list(chosen.values())), asked.episodes, axis=0)
    drawn = drawn_variants(world.ranges, rng, asked.variants, asked.beyond)
    states = world.starts(rng, np.concatenate([each, drawn]), asked.warm)
    found: dict[str, Any] = {"worth": {}, "identified": {}}

    def keep(name: str, worth: Float[ndarray, " n"]) -> None:
        table = worth[: len(each)].reshape(len(chosen), asked.episodes).mean(axis=1)
        found["worth"][name] = {
            "variants": dict(zip(chosen, table.tolist(), strict=True)),
            "drawn": worth[len(each) :].tolist(),
        }
        note(f"{name}: {table.mean():.3f} in chosen variants, {worth[len(each) :].mean():.3f} in drawn ones")

    for planner in planners:
        if planner == "identified, 2nd":
            continue
        controller = known.controller(planner)
        episodes, worth, agent = play(world, controller, states, asked.steps, seed)
        keep(planner, worth)
        if planner == "identified":
            found["identified"] = judged_identification(known, episodes[len(each) :], drawn)
            for name, scores in found["identified"].items():
                note(f"R2 of {name}: {', '.join(f'{score:.2f}' for score in scores.values())}")
        if planner == "identified" and "identified, 2nd" in planners:
            agent.reset()
            keep("identified, 2nd", play(world, controller, states, asked.steps, seed, agent)[1])
    return found


def judged_identification(
    known: Knowledge, episodes: Sequence[Episode], truth: Float[ndarray, "n K"]
) -> dict[str, dict[str, float]]:
    """R2 of each parameter after shares of the episodes, from what their robot saw."""
    told = torch.from_numpy(truth).float()
    known_ones = [
        KnownEpisode(torch.from_numpy(one.obs), torch.from_numpy(one.actions), row)
        for one, row in zip(episodes, told, strict=True)
    ]
    found: dict[str, dict[str, float]] = {name: {} for name in known.world.ranges.names}
    for share in QUARTERS:
        steps = max(1, round(share * known.settings.steps))
        belief = identified(known.encoder, known_ones, steps, known.settings.identification.window)
        scores = explained(told, belief.mean)
        for name, score in zip(known.world.ranges.names, scores.tolist(), strict=True):
            found[name][f"{share:g}"] = score
    return found
