"""Figures that look at the kitchen from the front: where the hand has been, may go, and goes."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy import ndarray
from torch import Tensor

from benchmarks.figures.look import BLUE, COLOURS, INK, MUTED, ORANGE, RED, Demo, legend_below
from mbtransfer import model_controller
from mbtransfer.evaluation.episodes import task_starts
from mbtransfer.evaluation.monitors import TaskScript
from mbtransfer.evaluation.rollout import play
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.task_reward import TaskReward
from planners.base import Objective
from tasks.combinators import all_of, moves_of
from tasks.environment import Environment
from world_models.dynamics.rollout import Imagination

ASKED = ("light_on", "hinge_cabinet_open", "left_knob_on", "drawer_open", "tap_open")
"""Tasks from one start: each is another reward, none another model."""

BEHAVIOURS = ("noise", "reach", "babble", "planner", "explore")
POINTS = 1500
SEARCHED = "light_on"
DECISIONS = 4
"""Decisions of which the last one is shown: each begins with the plan of the one before."""


def one_model(demo: Demo, figure: Figure) -> None:
    """Five tasks from one start, all planned in the same model."""
    axes, kitchen = figure.add_subplot(), demo.kitchen
    controller = model_controller(kitchen, demo.model.dynamics, rewards=demo.model.rewards)
    undone = all_of("undone", [part for name in ASKED for part in moves_of(kitchen.task(name))])
    start = task_starts(controller.scene, undone, 0, 1)
    obs = controller.scene.observe(start)[0]
    _handles(axes, kitchen, obs)
    for colour, name in zip(COLOURS, ASKED, strict=False):
        task = kitchen.task(name)
        script = TaskScript(task, controller.rewards([task]), kitchen.spec.episode_steps)
        (played,) = play(controller, script, start, seed=0, agent_seed=0)
        path = _hand(kitchen, controller.scene.observe(played.states))
        axes.plot(path[:, 0], path[:, 2], color=colour, lw=2, label=f"{name}: {played.result.steps} steps")
    axes.plot(*_hand(kitchen, obs)[[0, 2]], "s", color=INK, ms=7, zorder=5, label="start")
    _front(axes, "one start, one model, five rewards")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def pool(demo: Demo, figure: Figure) -> None:
    """Where each behaviour takes the hand."""
    kitchen, rng = demo.kitchen, np.random.default_rng(0)
    start = kitchen.make_scene(()).observe(kitchen.make_scene(()).sample_states(rng, 1))[0]
    for place, name in enumerate(BEHAVIOURS, start=1):
        axes = figure.add_subplot(1, len(BEHAVIOURS), place)
        some = demo.data.where(lambda record, name=name: record.behaviour == name)
        seen = np.concatenate([_hand(kitchen, episode.obs) for episode in some.episodes()])
        dots = rng.choice(seen, min(POINTS, len(seen)), replace=False)
        axes.plot(dots[:, 0], dots[:, 2], ".", ms=1.5, color=BLUE, alpha=0.5, rasterized=True)
        _handles(axes, kitchen, start, names=False)
        _front(axes, f"{name}, {some.steps / demo.data.steps:.1%}")
        axes.label_outer()


def planning(demo: Demo, figure: Figure) -> None:
    """One decision: the plans of all rounds, by what they promise, and the best of them."""
    kitchen, task = demo.kitchen, demo.kitchen.task(SEARCHED)
    controller = model_controller(kitchen, demo.model.dynamics, rewards=demo.model.rewards)
    planner, state = controller.make_planner(), task_starts(controller.scene, task, 0, 1)
    goal, generator = (
        TaskReward(controller.rewards([task]), torch.ones(1, 1)),
        torch.Generator().manual_seed(0),
    )
    bounds, scored = action_bounds(kitchen.spec), list[tuple[Tensor, Tensor]]()
    plan = bounds.middle.expand(1, planner.horizon, -1)
    for _ in range(DECISIONS):
        scored.clear()
        obs = torch.from_numpy(controller.scene.observe(state))
        objective = controller.dynamics.objective(obs, state, goal, generator)
        found = planner.plan(_watched(objective, scored), plan, generator)
        plan, state = found.shifted(), controller.scene.rollout(state, found.actions[:, :1].numpy())[:, 0]
    candidates, returns = (torch.cat(parts, dim=1)[0] for parts in zip(*scored, strict=True))
    world = Imagination(demo.model.dynamics, len(demo.model.dynamics.elites), "mean")
    axes = figure.add_subplot()
    scale = ScalarMappable(Normalize(float(returns.quantile(0.1)), float(returns.max())), "YlGnBu")
    figure.colorbar(scale, ax=axes, label="promised return", shrink=0.6)
    for i in returns.argsort().tolist():
        path = _hand(kitchen, world(obs, candidates[i : i + 1]).obs[:, 0, 0].numpy())
        axes.plot(path[:, 0], path[:, 2], color=scale.to_rgba(returns[i].numpy()), lw=1)
    path = _hand(kitchen, world(obs, found.actions).obs[:, 0, 0].numpy())
    axes.plot(path[:, 0], path[:, 2], color=ORANGE, lw=3, label="the best of them: the plan")
    axes.plot(path[0, 0], path[0, 2], "s", color=INK, ms=6, zorder=5, label="the hand")
    handle = obs[0, list(task.fixtures[0].handle)].numpy() + path[0]
    axes.plot(handle[0], handle[2], "+", color=RED, ms=12, mew=2, label=f"handle of {task.fixtures[0].name}")
    _front(axes, f"{len(candidates)} plans of one decision, {planner.horizon} control steps ahead")
    legend_below(axes, 3)


def _watched(objective: Objective, scored: list[tuple[Tensor, Tensor]]) -> Objective:
    """The same objective; what it scored is noted."""

    def watched(candidates: Tensor) -> Tensor:
        scored.append((candidates, objective(candidates)))
        return scored[-1][1]

    return watched


def _hand(kitchen: Environment, obs: ndarray) -> ndarray:
    """Where the hand is in each observation, in metres."""
    return obs[..., list(kitchen.spec.hand)]


def _handles(axes: Axes, kitchen: Environment, obs: ndarray, names: bool = True) -> None:
    hand = _hand(kitchen, obs)
    for handle, name in {fixture.handle: fixture.name for fixture in kitchen.spec.fixtures}.items():
        x, _, z = hand + obs[list(handle)]
        axes.plot(x, z, "+", color=RED if names else INK, ms=8 if names else 5)
        if names:
            axes.annotate(name, (x, z), (0, 6), textcoords="offset points", ha="center", color=MUTED)


def _front(axes: Axes, title: str) -> None:
    axes.set(title=title, xlabel="to the right (m)", ylabel="up (m)", aspect="equal")
