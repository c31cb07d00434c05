"""Figures of what was learned: forecasts beside the truth, rewards beside the true ones, a recipe as it went."""

from functools import partial
from itertools import groupby

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.figures.look import BLUE, COLOURS, GRID, INK, MUTED, Demo, legend_below
from mbtransfer import find_recipe, model_controller, play_episodes
from mbtransfer.data.episode import Episode
from mbtransfer.diagnostics.calibration import SHARE
from mbtransfer.evaluation.episodes import first_targets
from tasks.spec import Fixture
from world_models.dynamics.rollout import Imagination

FORETOLD = ("drawer", "microwave", "light_switch")
AHEAD = 24
"""Control steps that the model looks ahead: twice as far as plans do."""

LEARNED_TASK, LABELS = "drawer_half", (30, 100, 1_000)
COOKED = "breakfast"


def imagination(demo: Demo, figure: Figure) -> None:
    """Open-loop forecasts of each member, on held-out episodes in which a fixture moved the farthest."""
    episodes = list(demo.data.split(SHARE, seed=0)[1].where(lambda record: record.steps > AHEAD).episodes())
    world = Imagination(demo.model.dynamics, demo.model.dynamics.config.members)
    for place, name in enumerate(FORETOLD, start=1):
        axes, fixture = figure.add_subplot(1, len(FORETOLD), place), demo.kitchen.spec.fixture(name)
        episode = max(episodes, key=partial(_travel, fixture))
        obs, actions = torch.tensor(episode.obs[:1]), torch.tensor(episode.actions[None, :AHEAD])
        with torch.no_grad():
            paths = world(obs, actions, torch.Generator().manual_seed(0)).particles[:, :, 0, fixture.position]
        seconds = np.arange(AHEAD + 1) * demo.kitchen.spec.control_dt
        for member, path in enumerate(paths.T):
            axes.plot(seconds, path, color=BLUE, lw=1, label=None if member else "each member's forecast")
        axes.plot(seconds, episode.obs[: AHEAD + 1, fixture.position], "--", color=INK, label="what happened")
        axes.set(title=name, xlabel="time (s)", ylabel=f"position ({fixture.unit})")
        if place == 2:
            legend_below(axes)


def _travel(fixture: Fixture, episode: Episode) -> float:
    return float(np.ptp(episode.obs[: AHEAD + 1, fixture.position]))


def reward_heads(demo: Demo, figure: Figure) -> None:
    """Along one fixture's range, the hand at its handle: the true reward, and heads from few labels."""
    axes, task = figure.add_subplot(), demo.kitchen.task(LEARNED_TASK)
    (fixture,) = task.fixtures
    places = torch.linspace(fixture.low, fixture.high, 300)
    scene = demo.kitchen.make_scene(())
    obs = torch.from_numpy(scene.observe(scene.sample_states(np.random.default_rng(0), 1))).repeat(300, 1)
    obs[:, fixture.position], obs[:, list(fixture.handle)] = places, 0.0
    idle = torch.zeros(300, demo.kitchen.spec.action_size)
    axes.plot(places, task.reward(obs, idle, obs), "--", color=INK, lw=2, label="true reward", zorder=3)
    for colour, labels in zip(COLOURS[1:], LABELS, strict=False):
        learned = demo.model.rewards([task], labels).reward(obs, idle, obs)[:, 0]
        axes.plot(places, learned, color=colour, lw=1.5, label=f"from {labels:,} labels")
    axes.set(title=f"{task.name}: {task.description}", xlabel=f"position ({fixture.unit})", ylabel="reward")
    axes.legend()


def recipe(demo: Demo, figure: Figure) -> None:
    """Where each fixture of a recipe stands while the robot works through its steps."""
    axes, kitchen = figure.add_subplot(), demo.kitchen
    controller = model_controller(kitchen, demo.model.dynamics, rewards=demo.model.rewards)
    asked = find_recipe(COOKED, kitchen)
    (played,) = play_episodes(controller, asked, seed=0, episodes=1)
    obs, step = controller.scene.observe(played.states), kitchen.spec.control_dt
    begin = 0
    for place, (doing, steps) in enumerate(groupby(played.after)):
        end = begin + len(list(steps))
        axes.axvspan(begin * step, end * step, color=GRID, alpha=0.9 if place % 2 else 0.3, lw=0)
        axes.annotate(
            doing, ((begin + end) / 2 * step, 1.1), ha="center", rotation=20, color=MUTED, fontsize=8
        )
        begin = end
    for colour, (fixture, to) in zip(COLOURS, first_targets(asked).items(), strict=False):
        share = (obs[:, fixture.position] - fixture.low) / fixture.span
        axes.plot(np.arange(len(obs)) * step, share, color=colour, lw=2, label=fixture.name)
        axes.axhline((to - fixture.low) / fixture.span, color=colour, lw=0.8, ls=":")
    axes.set(
        xlabel="time (s)", ylabel="share of its range", ylim=(-0.05, 1.4), xlim=(0, (len(obs) - 1) * step)
    )
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    legend_below(axes, 6)
