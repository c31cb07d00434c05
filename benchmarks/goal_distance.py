"""Success of the goal-conditioned policy against the distance of the goal: `python -m benchmarks.goal_distance --model
MODEL`.

Start states are random ones of the environment, and goals are places of one group of positions in the pool. The policy
acts in the true simulator for an episode; a goal is reached if the last state has it. `still` is what an arm that does
nothing reaches: goals that hold from the beginning.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mbtransfer.model import Model
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.policy.goal_policy import Carried, GoalPolicy
from mbtransfer.transfer.policy.goals import success_by_distance


def drawn(carried: Carried, count: int, seed: int) -> tuple[np.ndarray, Float[Tensor, "N Y"]]:
    """States of the simulator, and goals from the pool about one group each."""
    model, space = carried.sources.model, carried.space
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(count) % len(space.groups)
    chosen = torch.nn.functional.one_hot(groups, len(space.groups)).to(model.pool.obs)
    rows = torch.randint(len(model.pool), (count,), generator=generator).to(model.device)
    state = model.environment.make_scene(()).sample_states(np.random.default_rng(seed), count)
    return state, space.towards(model.pool.obs[rows], chosen)


def played(
    carried: Carried, state: np.ndarray, goal: Float[Tensor, "N Y"]
) -> tuple[Float[Tensor, " N"], Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """The gap of each start state, whether it has the goal already, and whether the last state has it."""
    model, space = carried.sources.model, carried.space
    scene, policy = model.environment.make_scene(()), carried.policy(goal)

    def seen() -> Tensor:
        return torch.from_numpy(scene.observe(state)).to(model.pool.obs)

    first = seen()
    for _ in range(model.environment.spec.episode_steps):
        state = scene.rollout(state, policy(seen())[:, None].cpu().numpy())[:, 0]
    return space.gap(first, goal), space.reached(first, goal), space.reached(seen(), goal)


def as_markdown(
    parts: Sequence[tuple[float, float, float]], still: Sequence[tuple[float, float, float]]
) -> str:
    """A line for each part of the goals, the nearest first."""
    lines = ["| gap at first | success | still |", "|---|---|---|"]
    for (low, high, share), (_, _, idle) in zip(parts, still, strict=True):
        lines.append(f"| {low:.2f} to {high:.2f} | {share:.2f} | {idle:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Train, measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.goal_distance", description="Success against the distance of the goal."
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument(
        "--updates", type=int, default=GoalPolicy().updates, help="updates of the policy (default's)"
    )
    parser.add_argument("--goals", type=int, default=220, help="goals (220)")
    parser.add_argument("--parts", type=int, default=10, help="parts of equal size (10: deciles)")
    parser.add_argument(
        "--hindsight", type=float, default=GoalPolicy().hindsight, help="0 for none (default's)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed (0)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    with threads(1):
        model = Model.load(asked.model)
        method = replace(GoalPolicy(), updates=asked.updates, hindsight=asked.hindsight)
        carried = method.pretrain(Sources(model, (), 0, asked.seed))
        gaps, idle, reached = played(carried, *drawn(carried, asked.goals, asked.seed))
    parts, still = (success_by_distance(gaps, one, asked.parts) for one in (reached, idle))
    print(as_markdown(parts, still))
    print(f"\nall: {float(reached.float().mean()):.2f}, still: {float(idle.float().mean()):.2f}")
    if asked.json:
        found: dict[str, Any] = {"parts": parts, "still": still, "updates": asked.updates, "seed": asked.seed}
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
