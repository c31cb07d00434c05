"""How long one decision takes, in one episode on its own."""

from time import perf_counter

import numpy as np

from mbtransfer.evaluation.episodes import script_of, starts_of
from mbtransfer.evaluation.pilot import Pilot
from mbtransfer.evaluation.starts import as_tensor
from tasks.recipe.model import Recipe
from tasks.task import Task

DECISIONS = 50
LEAST = 10
SECONDS = 3.0
"""After this time it is enough, however few decisions beyond `LEAST` there were."""

WARM_UP = 3
"""First decisions, in which memory is still being found, do not count."""


def decision_latency(
    pilot: Pilot, asked: Task | Recipe, *, decisions: int = DECISIONS, seconds: float = SECONDS
) -> dict[str, float]:
    """Percentiles of the time of one decision in a batch of one, milliseconds: `p50`, `p95`, `p99`.

    `first` is the very first decision: what a warm-up, such as compilation, costs.
    """
    pilot = pilot.ready_for(asked)
    script, state = script_of(pilot, asked), starts_of(pilot, asked, 0, 1)
    agent, times = pilot.agent(0), list[float]()
    obs = as_tensor(pilot.scene.observe(state), pilot.device)
    script.begin(obs)
    goal, start = script.goal(), perf_counter()
    while len(times) < WARM_UP + decisions:
        if len(times) >= WARM_UP + LEAST and perf_counter() - start > seconds:
            break
        begin = perf_counter()
        action = agent.act(obs, state, goal).cpu().numpy()
        times.append(1e3 * (perf_counter() - begin))
        after = pilot.scene.rollout(state, action[:, None])[:, 0]
        state = after if np.isfinite(after).all() else state
        obs = as_tensor(pilot.scene.observe(state), pilot.device)
    shares = np.percentile(times[min(WARM_UP, len(times) - 1) :], [50, 95, 99])
    named = zip(("p50", "p95", "p99", "first"), [*shares, times[0]], strict=True)
    return {name: float(value) for name, value in named}
