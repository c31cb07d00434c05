"""Whether our baseline of soft actor-critic is sound: `python -m benchmarks.sac_baseline [--seeds 0 1 2]`.

Trains plain Stable-Baselines3 SAC on Pendulum-v1, called as the transfer methods call it, with the settings of
rl-baselines3-zoo (`hyperparams/sac.yml`: 20,000 steps, learning rate 0.001, else the library's defaults), and compares
the return with the zoo's own figure (`benchmark.md`: -156.995 with standard deviation 88.714 over 750 episodes of the
deterministic policy of one trained agent). The zoo calls its table no quantitative benchmark, because it is one run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from time import process_time
from typing import Any

import gymnasium
import numpy as np
import torch
from scipy.stats import t as student

from mbtransfer.mpc.objective import Policy
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.transfer.model_free.stable_baselines import SACConfig, policy_of, train_sac
from planners.base import Bounds

ENV, STEPS, CONFIG = "Pendulum-v1", 20_000, SACConfig(rate=1e-3)
PUBLISHED, DEVIATION, PUBLISHED_EPISODES = -156.995, 88.714, 750


def returns(env: gymnasium.Env[Any, Any], policy: Policy, seed: int, episodes: int) -> list[float]:
    """The return of each of some episodes."""
    found = list[float]()
    for number in range(episodes):
        obs, _ = env.reset(seed=seed + number)
        total, over = 0.0, False
        while not over:
            action = policy(torch.from_numpy(obs)[None])[0].numpy()
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        found.append(total)
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of the 95% interval of Student's t."""
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values), half


def verdict(runs: Sequence[Sequence[float]]) -> str:
    """Our mean and interval, the published ones, and whether the two intervals meet.

    Args:
        runs: the returns of each seed; the interval is over the means of several, or the episodes of a single one.
    """
    centre, half = interval([mean(run) for run in runs] if len(runs) > 1 else runs[0])
    theirs = float(student.ppf(0.975, PUBLISHED_EPISODES - 1)) * DEVIATION / PUBLISHED_EPISODES**0.5
    said = "inside" if abs(centre - PUBLISHED) <= half + theirs else "outside"
    over = f"{len(runs)} seeds" if len(runs) > 1 else f"{len(runs[0])} episodes of one seed"
    return (
        f"{ENV}: {centre:.1f} ± {half:.1f} (95%, over {over}); published {PUBLISHED:.1f} ± {theirs:.1f} "
        f"(95%, over episodes of one run): {said}"
    )


def main() -> None:
    """Train, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sac_baseline", description="Soundness of SAC."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"control steps of training ({STEPS})")
    parser.add_argument(
        "--episodes", type=int, default=250, help="episodes of evaluation for each seed (250)"
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    env, found, seconds = gymnasium.make(ENV), list[list[float]](), list[float]()
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    bounds = Bounds(torch.from_numpy(env.action_space.low), torch.from_numpy(env.action_space.high))
    with threads(1):
        for seed in asked.seeds:
            began = process_time()
            agent = train_sac(gymnasium.make(ENV), asked.steps, CONFIG, seed)
            seconds.append(process_time() - began)
            found.append(returns(env, policy_of(agent, bounds), 1_000_000 + 1000 * seed, asked.episodes))
            spread = np.std(found[-1])
            print(
                f"seed {seed}: {mean(found[-1]):.1f}, standard deviation {spread:.1f}, {seconds[-1]:.0f} CPU s",
                flush=True,
            )
    print(verdict(found))
    if asked.json:
        write_json(asked.json, {"steps": asked.steps, "returns": found, "seconds": seconds})


if __name__ == "__main__":
    main()
