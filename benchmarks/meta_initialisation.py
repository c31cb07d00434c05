"""What meta-learned initial weights gain: `python -m benchmarks.meta_initialisation [sines|dynamics] [--seeds 0 1 2]`.

`sines`: errors on new sines after gradient steps on 10 points, as in Finn et al. (2017), section 5.1. `dynamics`: an
ensemble learns new variants of cart-pole from few transitions; Reptile against ordinary pre-training with as many
gradient steps on as many transitions.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import nn

from mbtransfer.model import model_layout
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import write_json
from mbtransfer.transfer.model.meta_initialisation import (
    Data,
    MetaConfig,
    Optimiser,
    first_order_maml,
    pretrain_jointly,
    query_losses,
    reptile,
)
from mbtransfer.transfer.model.meta_tasks import Sines, VariantSampler, dynamics_loss, squared_error
from tasks.environment import Environment
from tasks.registry import make
from tasks.variants import DynamicsVariant
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.transitions import Transitions

Learn = Callable[..., None]
"""`reptile`, `first_order_maml` or `pretrain_jointly`."""

SGD, ADAM = torch.optim.SGD, partial(torch.optim.Adam, betas=(0.0, 0.999))
"""Of the steps in a task; Adam without momentum, as Reptile's experiments have it."""

SHOWN = (0, 1, 5, 10, 20)
"""Gradient steps after which errors are shown."""

REFERENCE = """Finn et al. (2017) print no table of this experiment. Figure 3, middle (10 shots), as descriptions of the
plot give it: after 1 / 9 steps MAML about 0.3 to 0.5 / 0.1 to 0.2, pre-training about 2.1 to 2.4 / 1.2 to 1.8, at
70,000 iterations of 25 sines with second derivatives. Nichol et al. (2018), section 4, show curves without numbers."""


@dataclass(frozen=True)
class Way:
    """How initial weights come to be; `learn` is None for random ones."""

    learn: Learn | None
    config: MetaConfig = field(default_factory=MetaConfig)


def sine_ways(scale: float) -> dict[str, Way]:
    """All take about as many gradient steps on about as many points."""
    few = partial(_iterations, scale)
    return {
        "random weights": Way(None),
        "pre-training": Way(pretrain_jointly, MetaConfig(few(250), 10, 8, rate=1e-3)),
        "first-order MAML": Way(first_order_maml, MetaConfig(few(1000), 25, 1, rate=3e-3, reuse=True)),
        "Reptile": Way(reptile, MetaConfig(few(250), 10, 8, partial(SGD, lr=0.02), rate=1.0)),
    }


def dynamics_ways(scale: float) -> dict[str, Way]:
    """Both take the same number of gradient steps on as many transitions."""
    same = MetaConfig(_iterations(scale, 100), 5, 5, partial(ADAM, lr=1e-3), rate=1e-3)
    return {
        "random weights": Way(None),
        "pre-training": Way(pretrain_jointly, same),
        "Reptile": Way(reptile, replace(same, rate=1.0)),
    }


def _iterations(scale: float, count: int) -> int:
    return max(1, round(scale * count))


def sine_network() -> nn.Sequential:
    """That of the papers: two hidden layers of 40."""
    return nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))


Curve = list[float]
"""Mean error over tasks, before the first and after each gradient step."""

Judge = Callable[[Optimiser], Curve]


def best(tune: Judge, test: Judge, rates: dict[str, Optimiser]) -> tuple[str, Curve]:
    """The curve on test tasks of that optimiser that ends lowest on other tasks: each initialisation has its own."""
    ends = {name: tune(optimiser)[-1] for name, optimiser in rates.items()}
    chosen = min(ends, key=lambda name: ends[name] if math.isfinite(ends[name]) else math.inf)
    return chosen, test(rates[chosen])


def sines(way: Way, seed: int, steps: int = 10, tests: int = 100) -> dict[str, Any]:
    """Learn, then adapt to new sines by 10 points."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = sine_network()
    began = process_time()
    if way.learn:
        way.learn(module, squared_error, Sines(), way.config, torch.Generator().manual_seed(seed))
    seconds = process_time() - began

    def judged(seed_of_tasks: int) -> Judge:
        (points,), grid = Sines().with_grid(tests, 1, torch.Generator().manual_seed(seed_of_tasks))
        return lambda inner: mean_curve(module, squared_error, [points] * steps, grid, inner)

    rates: dict[str, Optimiser] = {f"SGD {lr}": partial(SGD, lr=lr) for lr in (0.01, 0.02)}
    rates["Adam 0.01"] = partial(ADAM, lr=0.01)
    chosen, curve = best(judged(10_000 + seed), judged(20_000 + seed), rates)
    return {"curve": curve, "optimiser": chosen, "seconds": seconds}


def mean_curve(
    module: nn.Module, loss: Callable[[nn.Module, Data], torch.Tensor], support: Sequence[Data], query: Data,
    inner: Optimiser,
) -> Curve:  # fmt: skip
    """`query_losses`, mean over tasks."""
    curve: Curve = query_losses(module, loss, support, query, inner).mean(dim=1).tolist()
    return curve


@dataclass(frozen=True)
class Pools:
    """Transitions of variants.

    Attributes:
        known: of those that are learned from before.
        few, held_out: of new variants: what is adapted to, and what errors are measured on.
    """

    known: tuple[Transitions, ...]
    few: tuple[Transitions, ...]
    held_out: tuple[Transitions, ...]

    @classmethod
    def of(cls, environment: Environment, seed: int, known: int = 12, new: int = 12) -> "Pools":
        """Variants drawn by the seed, and random episodes in each."""
        rng = np.random.default_rng(seed)
        drawn = [draw_variant(rng, f"{i}").of(environment) for i in range(known + new)]
        old = tuple(episodes(one, rng, 8) for one in drawn[:known])
        few = tuple(episodes(one, rng, 1, 50) for one in drawn[known:])
        return cls(old, few, tuple(episodes(one, rng, 4) for one in drawn[known:]))


def draw_variant(rng: np.random.Generator, name: str) -> DynamicsVariant:
    """Masses and motor from a quarter to four times theirs, the logarithm even."""
    cart, pole, gear = np.exp(rng.uniform(-np.log(4), np.log(4), 3)).tolist()
    return DynamicsVariant(name, mass={"cart": cart, "pole_1": pole}, gear=gear)


def episodes(environment: Environment, rng: np.random.Generator, count: int, steps: int = 60) -> Transitions:
    """Random actions, each held for a few steps."""
    scene, size = environment.make_scene(()), environment.spec.action_size
    low, high = (np.array([getattr(one, end) for one in environment.spec.action]) for end in ("low", "high"))
    drawn = low + (high - low) * rng.random((count, -(-steps // 5), size))
    actions = np.repeat(drawn, 5, axis=1)[:, :steps].astype(np.float32)
    start = scene.sample_states(rng, count)
    path = np.concatenate([start[:, None], scene.rollout(start, actions)], axis=1)
    seen = torch.from_numpy(scene.observe(path))
    return Transitions.of(list(zip(seen, torch.from_numpy(actions), strict=True)))


def dynamics(way: Way, seed: int, pools: Pools, environment: Environment, steps: int = 50) -> dict[str, Any]:
    """Learn from the known variants, then adapt to the few transitions of new ones."""
    shape = EnsembleConfig(members=2, structure="dense", hidden=64)
    ensemble = EnsembleDynamics(model_layout(environment.spec), shape, torch.Generator().manual_seed(seed))
    everything = Transitions.join(pools.known)
    ensemble.normalizer.fit(everything.obs, everything.next_obs)
    began = process_time()
    if way.learn:
        sampler = VariantSampler(pools.known, shape.members)
        way.learn(ensemble, dynamics_loss, sampler, way.config, torch.Generator().manual_seed(seed))
    seconds = process_time() - began

    def judged(few: Sequence[Transitions], held_out: Sequence[Transitions]) -> Judge:
        generator = torch.Generator().manual_seed(seed)
        batches = VariantSampler(tuple(few), shape.members)
        support = [batches.rows(range(len(few)), generator) for _ in range(steps)]
        query = tuple(
            torch.stack(list(columns)) for columns in zip(*(vars(x).values() for x in held_out), strict=True)
        )
        query = tuple(column[:, None].expand(-1, shape.members, -1, -1) for column in query)
        still = ((query[2] - query[0]) / ensemble.normalizer.change).square().mean(
            dim=(1, 2, 3)
        ) * shape.members

        def curve(inner: Optimiser) -> Curve:
            error = query_losses(ensemble, dynamics_loss, support, query, inner) / still
            found: Curve = error.mean(dim=1).tolist()
            return found

        return curve

    half = len(pools.few) // 2
    rates: dict[str, Optimiser] = {f"Adam {lr}": partial(ADAM, lr=lr) for lr in (1e-3, 3e-3, 1e-2)}
    tune, test = (
        judged(pools.few[:half], pools.held_out[:half]),
        judged(pools.few[half:], pools.held_out[half:]),
    )
    chosen, curve = best(tune, test, rates)
    return {"curve": curve, "optimiser": chosen, "seconds": seconds}


def steps_to(curve: Curve, error: float) -> int | None:
    """Gradient steps until the error is that low, and None if it never is."""
    return next((step for step, value in enumerate(curve) if value <= error), None)


def interval(values: Sequence[float]) -> str:
    """Mean over seeds, and the 95% interval of Student's t."""
    if len(values) < 2:
        return f"{mean(values):.3f}"
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3f} ± {half:.3f}"


def as_markdown(found: dict[str, list[dict[str, Any]]], goals: Sequence[float] = ()) -> str:
    """A line for each way: errors by step, steps to each of some errors (median over seeds), optimisers, seconds."""
    length = len(next(iter(found.values()))[0]["curve"])
    shown = [step for step in (*SHOWN, 50, 100) if step < length]
    heads = [
        "",
        *(f"{step} steps" for step in shown),
        *(f"steps to {goal:g}" for goal in goals),
        "optimiser",
        "CPU s",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, runs in found.items():
        cells = [interval([run["curve"][step] for run in runs]) for step in shown]
        cells += [_steps([steps_to(run["curve"], goal) for run in runs], length) for goal in goals]
        cells += [
            ", ".join(sorted({run["optimiser"] for run in runs})),
            f"{mean(run['seconds'] for run in runs):.1f}",
        ]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def _steps(counts: Sequence[int | None], length: int) -> str:
    middle = float(np.median([length if count is None else count for count in counts]))
    return f"more than {length - 1}" if middle >= length else f"{middle:g}"


def runs(what: str, seeds: Sequence[int], scale: float) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Way, seed and result of each run."""
    environment = make("dm_control:cartpole") if what == "dynamics" else None
    for seed in seeds:
        pools = Pools.of(environment, seed) if environment else None
        for name, way in (dynamics_ways if environment else sine_ways)(scale).items():
            if environment and pools:
                yield name, seed, dynamics(way, seed, pools, environment)
            else:
                yield name, seed, sines(way, seed)


GOALS = (0.3, 0.2, 0.1)
"""Errors of dynamics, as shares of the error of "nothing changes"."""


def main() -> None:
    """Measure, show, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.meta_initialisation", description="Meta-learned initial weights."
    )
    parser.add_argument("what", choices=["sines", "dynamics"], help="which experiment")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (0 1 2)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="iterations, as a multiple of the default (1)"
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with threads(1):
        for name, seed, run in runs(asked.what, asked.seeds, asked.scale):
            found.setdefault(name, []).append(run)
            print(
                f"{name}, seed {seed}: {run['curve'][0]:.3f} to {run['curve'][-1]:.3f}",
                file=sys.stderr,
                flush=True,
            )
    print(as_markdown(found, GOALS if asked.what == "dynamics" else ()))
    if asked.what == "sines":
        print(f"\n{REFERENCE}")
    if asked.json:
        write_json(asked.json, {"scale": asked.scale, "seeds": asked.seeds, asked.what: found})


if __name__ == "__main__":
    main()
