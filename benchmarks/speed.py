"""Measurements of speed: how long decisions take, how many steps model and simulator do."""

from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

import mujoco
import numpy as np
import torch

from benchmarks.plain import PlainEnsemble
from mbtransfer.evaluation.episodes import decision_latency
from mbtransfer.model import model_layout
from mbtransfer.mpc.controller import PARTICLES, PLANNER, model_controller
from planners.registry import PLANNERS
from tasks.environment import Environment
from tasks.simulator import Simulator
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads

LABELS = 2_000
REPEATS = 5
PLANS, HORIZON = 64, 12
"""Plans per imagined batch, and how far each looks ahead: the default planner's."""


def random_model(environment: Environment) -> EnsembleDynamics:
    """An ensemble of the default size that has learned nothing; speed does not mind."""
    layout = model_layout(environment.spec)
    return EnsembleDynamics(layout, EnsembleConfig(), torch.Generator().manual_seed(0))


def random_heads(environment: Environment, task: Task, dynamics: EnsembleDynamics) -> RewardHeads:
    """A reward head as a fitted model has it, from labels of random transitions."""
    rng, scene = np.random.default_rng(0), environment.make_scene(())
    states = scene.sample_states(rng, LABELS)
    actions = rng.uniform(-1, 1, (LABELS, 1, environment.spec.action_size)).astype(np.float32)
    after = torch.from_numpy(scene.observe(scene.rollout(states, actions)[:, 0]))
    obs, action = torch.from_numpy(scene.observe(states)), torch.from_numpy(actions[:, 0])
    heads = RewardHeads(dynamics.layout)
    heads.add(task.name, Labels(obs, action, after, task.reward(obs, action, after), task.success(after)))
    return heads


def decisions(environment: Environment, task: Task, count: int) -> list[dict[str, Any]]:
    """Latency of each planner at its default budget, with learned dynamics and a learned reward head."""
    dynamics = random_model(environment)
    heads = random_heads(environment, task, dynamics)
    found = []
    for name, planner in PLANNERS.items():
        controller = model_controller(
            environment, dynamics, rewards=lambda tasks: heads.select([t.name for t in tasks]), planner=name
        )
        latency = decision_latency(controller, task, decisions=count, seconds=60.0)
        budget = {
            key: value for key, value in asdict(planner.config_type()).items() if isinstance(value, int)
        }
        found.append({"planner": name, "default": name == PLANNER, "budget": budget, **latency})
    return found


def imagination(environment: Environment, seconds: float) -> dict[str, float]:
    """Model steps per second (one plan, one particle, one control step) in float32, and the plain loop's."""
    dynamics = random_model(environment)
    scene, rng = environment.make_scene(()), np.random.default_rng(0)
    obs = torch.from_numpy(scene.observe(scene.sample_states(rng, 1))).expand(PLANS, -1).contiguous()
    size = (PLANS, HORIZON, environment.spec.action_size)
    actions = torch.from_numpy(rng.uniform(-1, 1, size).astype(np.float32))
    ours, plain = Imagination(dynamics, PARTICLES), PlainEnsemble(dynamics, PARTICLES)
    steps = PLANS * HORIZON * PARTICLES
    rates = alternating(
        {"model": lambda: ours(obs, actions), "plain": lambda: plain(obs, actions)}, steps, seconds
    )
    return {
        "model_steps_per_second": rates["model"], "plain_loop_steps_per_second": rates["plain"],
        "ratio_to_plain_loop": rates["model"] / rates["plain"],
        "weights_per_member": sum(p.numel() for p in dynamics.parameters()) // dynamics.config.members,
        "plain_width": plain.width,
    }  # fmt: skip


def simulation(environment: Environment, seconds: float) -> dict[str, float]:
    """Control steps per second: through `Simulator.step`, batched through `Simulator.rollout`, and bare MuJoCo."""
    scene, rng = environment.make_scene(()), np.random.default_rng(0)
    count, size = 200, environment.spec.action_size
    actions = rng.uniform(-1, 1, (count, size)).astype(np.float32)
    start = scene.sample_states(rng, 1)[0]
    states, plans = np.repeat(start[None], 50, axis=0), rng.uniform(-1, 1, (50, 4, size)).astype(np.float32)
    rates = alternating(
        {
            "scene_step": lambda: _episode(scene, start, actions),
            "mujoco": lambda: _bare(scene, start, count),
            "rollout": lambda: scene.rollout(states, plans),
        },
        count,
        seconds,
    )
    named = {f"{name}_per_second": rate for name, rate in rates.items()}
    return named | {"scene_step_share_of_mujoco": rates["scene_step"] / rates["mujoco"]}


def _episode(scene: Simulator, start: np.ndarray, actions: np.ndarray) -> None:
    scene.set_state(start)
    for action in actions:
        scene.step(action)


def _bare(scene: Simulator, start: np.ndarray, count: int) -> None:
    substeps = round(scene.spec.control_dt / scene.model.opt.timestep)
    scene.set_state(start)
    for _ in range(count):
        mujoco.mj_step(scene.model, scene.data, substeps)


def alternating(works: dict[str, Callable[[], Any]], steps: int, seconds: float) -> dict[str, float]:
    """Steps per second of each work, median of several turns: a busy machine slows all alike."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(REPEATS):
        for name, work in works.items():
            rates[name].append(_rate(work, steps, seconds / REPEATS))
    return {name: float(np.median(of_name)) for name, of_name in rates.items()}


def _rate(work: Callable[[], Any], steps: int, seconds: float) -> float:
    begin, count = perf_counter(), 0
    while count == 0 or perf_counter() - begin < seconds:
        work()
        count += 1
    return count * steps / (perf_counter() - begin)
