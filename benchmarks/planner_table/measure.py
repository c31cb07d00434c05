"""Success, return and latency of every planner at every budget; what is known already is kept."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.planner_table.budgets import BUDGETS, rows_for, search_of, spent
from benchmarks.planner_table.worlds import World
from mbtransfer import __version__
from mbtransfer.evaluation.episodes import decision_latency, play_episodes
from mbtransfer.evaluation.results import EpisodeResult

DECISIONS, SECONDS = 200, 2.0
"""Decisions that are timed, or as many as fit into this time, ten at the least."""

Found = dict[str, Any]
"""`worlds`: name to protocol; `cells`: see `cells_of`; `machine`: where latency was measured last."""


def cells_of(world: World) -> Iterator[tuple[str, str, int]]:
    """Key, row and budget of each cell of the table, the rows outermost."""
    for row in rows_for(world.learned):
        for name, budget in BUDGETS.items():
            yield f"{world.name}/{row}/{name}", row, budget


def measure(
    world: World, found: Found, *, time_again: bool = False, noted: Callable[[], None] = lambda: None
) -> None:
    """Add what `found` lacks of this world.

    Args:
        world: where.
        found: what is known; episodes by another protocol or other settings are done again.
        time_again: measure all latencies anew.
        noted: called after each cell.
    """
    cells: dict[str, Any] = found.setdefault("cells", {})
    worlds = found.setdefault("worlds", {})
    if worlds.get(world.name) != world.protocol():
        worlds[world.name] = world.protocol()
        for key, _, _ in cells_of(world):
            cells.pop(key, None)
    for key, row, budget in cells_of(world):
        planner, settings = search_of(row, budget, world.horizon)
        cell = dict(cells.get(key, {}))
        if cell.get("settings") != settings:
            done = _episodes(world, planner, settings)
            cell = {"settings": settings, "plans": spent(planner, settings), **done}
        if time_again or "plan_ms" not in cell:
            controller = world.pilots(planner, settings)[0]
            cell["plan_ms"] = decision_latency(
                controller, world.asked[0], decisions=DECISIONS, seconds=SECONDS
            )
            found["machine"] = machine()
        cells[key] = cell
        noted()


def _episodes(world: World, planner: str, settings: Mapping[str, int | float]) -> dict[str, Any]:
    """`success` (kind to how many of how many), `steps` of recipes likewise, and `returns` of tasks."""
    rows = [
        played.result
        for controller in world.pilots(planner, settings)
        for one in world.asked
        for seed in world.seeds
        for played in play_episodes(controller, one, seed, world.episodes)
    ]
    kinds = ("task", "recipe") if world.learned else ()
    by_kind = {kind: [row.success for row in rows if row.kind == kind] for kind in kinds}
    chains = [row for row in rows if row.kind == "recipe"]
    return {
        "success": {kind: [sum(some), len(some)] for kind, some in by_kind.items()},
        "steps": [sum(row.steps_done for row in chains), sum(row.steps_total for row in chains)],
        "returns": [_return(world, row) for row in rows if row.kind == "task"],
    }


def _return(world: World, row: EpisodeResult) -> float:
    """As it is, or as if the episode had the 1,000 control steps of dm_control's."""
    return 1000 * row.return_ / row.steps if world.steps else row.return_


def machine() -> dict[str, str]:
    """Versions, and what the processor can do."""
    packages = {name: version(name) for name in ("torch", "mujoco", "dm-control")}
    return {"mbtransfer": __version__, **packages, "processor": torch.backends.cpu.get_cpu_capability()}
