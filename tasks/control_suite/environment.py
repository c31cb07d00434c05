"""dm_control domains as environments (`dm_control:walker`)."""

import re
from collections.abc import Mapping
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.control_suite.body import SuiteBody
from tasks.control_suite.suite import load_suite
from tasks.control_suite.variants import VARIANTS
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.privileged_task import PhysicsTask
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, Variable, nearest
from tasks.task import Task

REPEAT = {"cartpole": 4, "cheetah": 4, "manipulator": 4, "pendulum": 4, "acrobot": 4}
"""Control steps of the suite for which one action is held; `TWICE` where nothing is said."""

TWICE = 2

STEPS = 1000
"""Control steps of the suite in an episode: returns are out of as many."""

SOURCES = {
    "walker": ("stand", "walk"),
    "cheetah": ("run",),
    "quadruped": ("stand", "walk"),
    "hopper": ("stand",),
}
"""Tasks that data may be collected for; the others are held out. All are, where nothing is said."""


WHOLE = re.compile(r"\w+_velocity_[xy01]|\w+_spin_[xyz]|(\w+_)?height|\w+_upright")
"""Columns that say how the body moves along the floor, turns, and how high and upright it is."""

NEEDS_SCREEN = ("escape",)
"""Tasks that cannot begin without a renderer."""


def control_suite(domain: str) -> Environment:
    """The domain, with the suite's tasks and ours, judged exactly as the suite judges them.

    One action is held for `REPEAT` control steps, whose rewards are summed.
    Tasks of the suite that put a target elsewhere in every episode are left out: that is another world each
    time; ours name the place.

    Raises:
        TaskError: no such domain; names the nearest one.
    """
    suite = load_suite()
    names = [task for of, task in suite.ALL_TASKS if of == domain and task not in NEEDS_SCREEN]
    if not names:
        domains = sorted({of for of, _ in suite.ALL_TASKS})
        raise TaskError(f"dm_control: no domain {domain!r}{nearest(domain, domains)}")
    bodies = {name: SuiteBody(suite.load(domain, name)) for name in names}
    fixed = {name: body for name, body in bodies.items() if not body.moves_its_model()}
    body = next(iter((fixed or bodies).values()))
    fixed = {name: one for name, one in fixed.items() if one.is_like(body)}
    repeat = REPEAT.get(domain, TWICE)
    spec = _spec(domain, body, repeat)
    whole = tuple(name for name in body.columns if WHOLE.fullmatch(name))
    made = partial(_scene, domain, spec, body)
    return Environment(spec, _tasks(domain, spec, body, fixed, repeat), made, body=whole)


def _spec(domain: str, body: SuiteBody, repeat: int) -> EnvSpec:
    box = body.theirs.action_spec()
    ends = zip(box.minimum.tolist(), box.maximum.tolist(), strict=True)
    return EnvSpec(
        name=f"dm_control:{domain}",
        observation=tuple(map(_variable, body.columns)),
        action=tuple(Variable(f"motor_{i}", "", low, high) for i, (low, high) in enumerate(ends)),
        fixtures=(),
        control_dt=repeat * body.theirs.control_timestep(),
        episode_steps=STEPS // repeat,
    )


def _variable(name: str) -> Variable:
    """A column with its usual range; few columns have a hard one."""
    most = 20.0 if any(part in name for part in ("velocity", "spin", "vel", "imu", "gyro")) else 2.0
    return Variable(name, "", -most, most)


def _tasks(
    domain: str, spec: EnvSpec, body: SuiteBody, fixed: Mapping[str, SuiteBody], repeat: int
) -> dict[str, Task]:
    values = {name: one.theirs.task.get_reward for name, one in fixed.items()}
    values |= VARIANTS.get(domain, {})
    sources = SOURCES.get(domain, tuple(values))
    return {
        name: PhysicsTask(
            name, f"{domain}: {name.replace('_', ' ')}, as dm_control rewards it",
            "source" if name in sources else "held_out", spec.obs_size, body.judge(value, repeat),
        )
        for name, value in values.items()
    }  # fmt: skip


def _scene(domain: str, spec: EnvSpec, body: SuiteBody, locked: tuple[str, ...]) -> Simulator:
    if locked:
        raise TaskError(f"{spec.name} has no fixtures to lock")

    def sample(rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        return np.stack([body.start(rng) for _ in range(n)])

    return Simulator(body.model, spec, body.observe, lambda actions: actions, sample)
