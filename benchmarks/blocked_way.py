"""A way is blocked after training: `python -m benchmarks.blocked_way --seeds 0 1 2`.

A point in the plane goes from the left to a goal on the right; between them is a wall that can be passed above and
below, equally well. Policies are trained by the actor-critic in imagination, deterministic ones and maximum-entropy
ones (Haarnoja et al. 2017, "Reinforcement learning with deep energy-based policies", section on pre-training), in the
known dynamics x' = x + STEP a. Then the way that a policy takes more often is closed, and it is trained on for k
rounds. Success is the share of its roll-outs that arrive and never touch a wall.

What must come out without any round: a policy that goes one way has no success left, one that goes both ways has the
share of the other.
"""

import argparse
import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.mpc.task_policy import Actor, Critic, GaussianActor, Scaled
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.training.policy.actor_critic import PolicyTrainingConfig, Trainer
from planners.base import Bounds

STEP = 0.1
GOAL = (0.8, 0.0)
NEAR = 0.2
"""The goal is reached within this distance."""

STEPS = 40
"""Control steps of a roll-out: twice the shortest way."""

THICK, TALL, WORLD = 0.15, 0.35, 1.2
"""Half the thickness and height of the wall, and how high the world is: a closed way has wall up to there."""

TRAINING = PolicyTrainingConfig(horizon=10, rows=64, discount=0.95, stay=0.7, noise=0.2)
TEMPERATURES = (0.0, 0.05, 0.2, 0.5)
"""A temperature of zero means a deterministic policy."""


class Plane:
    """Dynamics of the point: an ensemble of one member that is right."""

    particles = 1

    def step(self, obs: Float[Tensor, "P 2 R"], action: Float[Tensor, "P 2 R"]) -> Float[Tensor, "P 2 R"]:
        """One control step."""
        return (obs + STEP * action).clamp(-WORLD, WORLD)


@dataclass(frozen=True)
class Wall:
    """The wall, from one height to another."""

    low: float = -TALL
    high: float = TALL

    def closed(self, above: bool) -> "Wall":
        """The same with the way above or below closed."""
        return replace(self, high=WORLD) if above else replace(self, low=-WORLD)

    def depth(self, obs: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b"]:
        """How deep a point is inside of the wall, negative outside."""
        x, y = obs.unbind(dim=-1)
        return torch.stack([THICK - x.abs(), self.high - y, y - self.low]).amin(dim=0)

    def reward(self, obs: Tensor, action: Tensor, ahead: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b"]:
        """From 0 to 1: nearness to the goal, and nothing close to the wall (the edge is soft)."""
        far = (ahead - ahead.new_tensor(GOAL)).square().sum(dim=-1).add(1e-6).sqrt()
        return (1 - far / (2 * WORLD)) * torch.sigmoid(-(self.depth(ahead) + 0.02) / 0.02)


class _Plain(Scaled):
    """A network on positions as they are: start states say nothing of where the point will be."""

    def fit_normalizer(self, obs: Float[Tensor, "N 2"]) -> None:
        """Nothing to fit."""


class _Mean(_Plain, Actor):
    pass


class _Normal(_Plain, GaussianActor):
    pass


class _Values(Critic):
    def __init__(self) -> None:
        super().__init__(2)
        self.first, self.second = _Plain(2, 1), _Plain(2, 1)


def trainer(
    wall: Wall, temperature: float, seed: int, networks: tuple[Actor, Critic] | None = None
) -> Trainer:
    """A trainer in the plane; with networks, of copies of them."""
    if networks is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks = (_Normal if temperature else _Mean)(2, 2), _Values()
    bounds = Bounds(-torch.ones(2), torch.ones(2))
    config = replace(TRAINING, temperature=temperature)
    return Trainer(
        Plane(), wall.reward, (0.0, 1.0), starts(500, seed), bounds, config, seed, None,
        copy.deepcopy(networks),
    )  # fmt: skip


def starts(count: int, seed: int) -> Float[Tensor, "N 2"]:
    """Start states: on the left, in the middle but for a little."""
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return torch.tensor([-0.8, 0.0]) + 0.02 * noise


@torch.no_grad()
def played(
    actor: Actor, wall: Wall, seed: int, count: int = 200
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Which roll-outs succeed, and which pass above the middle; a stochastic policy draws its actions."""
    obs, generator = starts(count, seed + 1), torch.Generator().manual_seed(seed)
    there, touched, above = (torch.zeros(count, dtype=torch.bool) for _ in range(3))
    for _ in range(STEPS):
        noise = torch.randn(count, 2, generator=generator)
        action = actor.sample(obs, noise)[0] if isinstance(actor, GaussianActor) else actor(obs)
        ahead = Plane().step(obs.mT[None], action.mT[None])[0].mT
        touched |= wall.depth(ahead) > 0
        crosses = (obs[:, 0] <= 0) & (ahead[:, 0] > 0)
        above |= crosses & (ahead[:, 1] > 0)
        obs = ahead
        there |= ((obs - obs.new_tensor(GOAL)).norm(dim=1) < NEAR) & ~touched
    return there, above


def run(temperature: float, seed: int, updates: int, rounds: Sequence[int]) -> dict[str, Any]:
    """Train, close the way that is taken more often, and measure success after each number of rounds."""
    before = trainer(Wall(), temperature, seed)
    for _ in range(updates):
        before.update()
    success, above = played(before.actor, Wall(), seed)
    share = float((success & above).sum() / success.sum().clamp(min=1))
    closed = Wall().closed(above=share >= 0.5)
    after = trainer(closed, temperature, seed, (before.actor, before.critic))
    found, done = dict[int, float](), 0
    for count in sorted(rounds):
        while done < count:
            after.update()
            done += 1
        found[count] = float(played(after.actor, closed, seed)[0].float().mean())
    return {"before": float(success.float().mean()), "other way": min(share, 1 - share), "after": found}


def named(temperature: float) -> str:
    """What a policy of that temperature is called."""
    return f"maximum entropy, {temperature:g}" if temperature else "deterministic"


def as_markdown(found: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each kind of policy: means over seeds."""
    rounds = list(next(iter(found.values()))[0]["after"])
    heads = ["policy", "open", "other way", *(f"closed, {count} rounds" for count in rounds)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, runs in found.items():
        columns = [[one["before"] for one in runs], [one["other way"] for one in runs]]
        columns += [[one["after"][count] for one in runs] for count in rounds]
        lines.append(f"| {' | '.join([name, *(f'{np.mean(column):.2f}' for column in columns)])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blocked_way", description="A way is blocked.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument(
        "--temperatures",
        type=float,
        nargs="+",
        default=TEMPERATURES,
        help="0: deterministic (0 0.05 0.2 0.5)",
    )
    parser.add_argument("--updates", type=int, default=400, help="updates before the way is closed (400)")
    parser.add_argument(
        "--rounds", type=int, nargs="+", default=[0, 10, 30, 100, 200], help="updates after (0 10 30 100 200)"
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    with threads(1):
        found = {
            named(heat): [run(heat, seed, asked.updates, asked.rounds) for seed in asked.seeds]
            for heat in asked.temperatures
        }
    print(as_markdown(found))
    if asked.json:
        write_json(asked.json, {"updates": asked.updates, "seeds": asked.seeds, "found": found})


if __name__ == "__main__":
    main()
