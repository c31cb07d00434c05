"""Variants of an environment: the same world with other dynamics.

Factors on masses, friction, damping and motors, an action delay and locked joints are the usual ways in which a robot
differs from its model (dynamics randomisation: Peng et al. 2018, "Sim-to-real transfer of robotic control with dynamics
randomization", section IV-C). What is seen and what is rewarded stay the same functions of the state.

`tasks.variant_file` reads variants from YAML.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Annotated, Any

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from tasks.delayed_scene import DelayedJudge, DelayedScene
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.gymnasium_env.environment import SteppedReward
from tasks.gymnasium_env.loader import GymName, load_env
from tasks.gymnasium_env.mujoco_scene import MujocoScene, StateSettableEnv
from tasks.privileged_task import PhysicsTask
from tasks.recipe.yaml_reader import kind, quoted
from tasks.simulator import Simulator
from tasks.spec import EnvSpec, nearest
from tasks.task import Task

Factors = float | Mapping[str, float]
"""One factor for all, or one for each of those named."""

MOST = 1000.0
"""Greatest factor."""

LONGEST = 100
"""Greatest delay, in control steps."""

LOCK_DAMPING, LOCK_ARMATURE = 1e5, 1e3
"""Of a locked joint: as scenes lock their fixtures."""


@dataclass(frozen=True)
class DynamicsVariant:
    """How dynamics differ from those of an environment; without arguments, in nothing.

    Attributes:
        name: what it is called.
        mass: factors of the mass and the inertia of bodies.
        friction: factors of the friction of geoms, all three kinds of it; a body's name means all its geoms. MuJoCo
            lets the greater friction of two geoms that touch count.
        damping: factors of the damping of joints.
        gear: factors of the gear of actuators: of force where a motor gives one; a servo with half the gear goes twice
            as far.
        delay: control steps until an action takes effect; until the first does, the robot idles.
        lock: fixtures or joints that cannot be moved from where they start.

    Raises:
        TaskError: a value that makes no sense.
    """

    name: str
    mass: Factors = 1.0
    friction: Factors = 1.0
    damping: Factors = 1.0
    gear: Factors = 1.0
    delay: int = 0
    lock: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "name"}
        try:
            checked = Changes.model_validate(given)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            raise TaskError(f"variant {self.name!r}: {message(wrong)}") from error
        for name, value in checked:
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(repr(self))

    def of(self, environment: Environment, name: str = "") -> Environment:
        """The environment with these dynamics: the same spec but for its name, the same tasks.

        Args:
            environment: any that is simulated by MuJoCo and can be set to a state.
            name: of the variant in files; "ENVIRONMENT/NAME" if empty.

        Raises:
            TaskError: it has no body, geom, joint or actuator of that name, or no MuJoCo simulation.
        """
        plain = environment.make_scene(())
        if problem := misfit(self, environment, plain):
            raise TaskError(f"{environment.spec.name}: variant {self.name!r}: {': '.join(said(problem))}")
        spec = replace(environment.spec, name=name or f"{environment.spec.name}/{self.name}")
        sizes = plain.state_size, spec.action_size
        tasks = {key: _task(self, task, *sizes) for key, task in environment.tasks.items()}
        return replace(environment, spec=spec, tasks=tasks, make_scene=VariantScenes(self, environment, spec))


@dataclass(frozen=True)
class VariantScenes:
    """Makes scenes of a variant.

    Attributes:
        variant: how it differs.
        environment: from what.
        spec: of the variant, which has another name.
    """

    variant: DynamicsVariant
    environment: Environment
    spec: EnvSpec

    def __call__(self, locked: tuple[str, ...]) -> Simulator:
        """A new scene; fixtures named in `locked` rest where they are, as do those that the variant locks."""
        fixtures = {fixture.name for fixture in self.spec.fixtures}
        held = [name for name in self.variant.lock if name in fixtures and name not in locked]
        scene = self.environment.make_scene((*locked, *held))
        for each in (scene, scene.coarse):
            if each is not None:
                each.spec = self.spec
                _change(each, self.variant, fixtures)
        return DelayedScene(scene, self.variant.delay) if self.variant.delay else scene


def misfit(
    variant: DynamicsVariant, environment: Environment, scene: Simulator
) -> tuple[tuple[str | int, ...], str] | None:
    """Where and why a variant cannot be of an environment, whose plain scene is given; None if it can."""
    if scene.live or not isinstance(scene.model, mujoco.MjModel):
        return (), "only a MuJoCo simulation that can be set to a state has variants"
    if isinstance(environment.make_scene, VariantScenes):
        return (), f"{environment.spec.name} is a variant itself; put all changes into one"
    fixtures, joints = [one.name for one in environment.spec.fixtures], list(_joints(scene.model))
    for i, name in enumerate(variant.lock):
        if name not in (*fixtures, *joints):
            return ("lock", i), f"no fixture or joint {quoted(name)}{nearest(name, [*fixtures, *joints])}"
    for what, part in _PARTS.items():
        factors: Factors = getattr(variant, what)
        named, everything = part.rows(scene.model), slice(None)
        for name in factors if isinstance(factors, Mapping) else ():
            if name not in named:
                return (what, name), f"no {part.kind} {quoted(name)}{nearest(name, list(named))}"
        for name, factor in _each(factors):
            rows = named[name] if name else everything
            if factor != 1 and not np.any(getattr(scene.model, part.arrays[0])[rows]):
                return (
                    what,
                    *([name] if name else []),
                ), f"there is no {what} here that a factor could change"
    return None


def said(problem: tuple[tuple[str | int, ...], str]) -> list[str]:
    """A misfit in words: the key, if there is one, and what is wrong."""
    place, text = problem
    return [*map(str, place[:1]), text]


@dataclass(frozen=True)
class _Part:
    """What a factor changes: `arrays` of the model, at the rows of the `kind` that is named."""

    kind: str
    arrays: tuple[str, ...]
    rows: Callable[[mujoco.MjModel], dict[str, Any]]


def _bodies(model: mujoco.MjModel) -> dict[str, Any]:
    return {model.body(i).name: i for i in range(1, model.nbody) if model.body(i).name}


def _geoms(model: mujoco.MjModel) -> dict[str, Any]:
    """Geoms, and bodies for all their geoms where no geom has the name."""
    of_bodies = {name: np.flatnonzero(model.geom_bodyid == i) for name, i in _bodies(model).items()}
    return of_bodies | {model.geom(i).name: i for i in range(model.ngeom) if model.geom(i).name}


def _joints(model: mujoco.MjModel) -> dict[str, Any]:
    """Degrees of freedom of each joint."""
    names = {i: model.joint(i).name for i in range(model.njnt)}
    return {name: np.flatnonzero(model.dof_jntid == i) for i, name in names.items() if name}


def _actuators(model: mujoco.MjModel) -> dict[str, Any]:
    return {model.actuator(i).name: i for i in range(model.nu) if model.actuator(i).name}


_PARTS = {
    "mass": _Part("body", ("body_mass", "body_inertia"), _bodies),
    "friction": _Part("geom or body", ("geom_friction",), _geoms),
    "damping": _Part("joint", ("dof_damping",), _joints),
    "gear": _Part("actuator", ("actuator_gear",), _actuators),
}


def _each(factors: Factors) -> list[tuple[str, float]]:
    """Name and factor of what changes; the name is empty for all."""
    return list(factors.items()) if isinstance(factors, Mapping) else [("", factors)]


def _change(scene: Simulator, variant: DynamicsVariant, fixtures: set[str]) -> None:
    """Put the dynamics into a new scene."""
    if not isinstance(
        scene, MujocoScene
    ):  # that one looks through the model it steps, the others may share theirs
        scene.model = copy.copy(scene.model)
    change_model(scene.model, variant, fixtures)


def change_model(model: mujoco.MjModel, variant: DynamicsVariant, fixtures: set[str] | None = None) -> None:
    """Change a model in place; where no factor differs from 1, not a bit of it.

    Args:
        model: whose names fit, see `misfit`.
        variant: its factors and locks.
        fixtures: what the scene itself has locked.
    """
    joints, changed = _joints(model), False
    for what, part in _PARTS.items():
        named, everything = part.rows(model), slice(None)
        for name, factor in _each(getattr(variant, what)):
            for array in part.arrays if factor != 1 else ():
                getattr(model, array)[named[name] if name else everything] *= factor
                changed = True
    for name in variant.lock:
        if name not in (fixtures or ()):
            model.dof_damping[joints[name]] = LOCK_DAMPING
            model.dof_armature[joints[name]] = LOCK_ARMATURE
            changed = True
    if changed:  # the solver's idea of how heavy things are follows
        mujoco.mj_setConst(model, mujoco.MjData(model))


def _task(variant: DynamicsVariant, task: Task, state_size: int, action_size: int) -> Task:
    """The task as it is judged in the variant: the same, but by the state without the actions on their way."""
    if not isinstance(task, PhysicsTask):
        return task
    judge, done = task.judge, task.done
    if isinstance(judge, SteppedReward):  # it takes the step itself
        judge = ChangedReward(judge.asked, variant)
    if variant.delay:
        judge = DelayedJudge(judge, state_size, action_size)
        done = done and DelayedJudge(done, state_size, action_size)
    return task if judge is task.judge else replace(task, judge=judge, done=done)


@dataclass(frozen=True)
class ChangedReward:
    """What the own `step` of a Gymnasium environment gives when its model is changed."""

    asked: GymName
    variant: DynamicsVariant

    def __call__(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """The reward of each transition."""
        puppet = _changed_puppet(self.asked, self.variant)
        return np.array([puppet.reward(*pair) for pair in zip(states, actions, strict=True)])


@lru_cache(maxsize=4)
def _changed_puppet(asked: GymName, variant: DynamicsVariant) -> StateSettableEnv:
    puppet = StateSettableEnv(load_env(asked))
    change_model(puppet.model, variant)
    return puppet


_DECIMAL = r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?"


def _number(value: object, low: float, what: str = "") -> float:
    """A number from `low` to `MOST`, also as the text of a file."""
    if type(value) is str and re.fullmatch(_DECIMAL, value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= MOST:
        return float(value)
    raise _said(f"a factor should be a number from {low:g} to {MOST:g}, not {_shown(value)}", what)


def _factors(low: float) -> PlainValidator:
    def check(value: object) -> Factors:
        if not isinstance(value, Mapping):
            return _number(value, low)
        if not value:
            raise _said("name at least one, or give one factor for all")
        return {str(name): _number(factor, low, str(name)) for name, factor in value.items()}

    return PlainValidator(check)


def _steps(value: object) -> int:
    if type(value) is str and re.fullmatch("[0-9]{1,9}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= LONGEST:
        raise _said(f"should be a whole number of control steps from 0 to {LONGEST}, not {_shown(value)}")
    return value


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise _said(f"should be a list of names, not {_shown(value)}")
    for i, name in enumerate(value):
        if not isinstance(name, str) or not name:
            raise _said(f"should be a list of names, not of {_shown(name)}", i)
        if name in value[:i]:
            raise _said(f"{quoted(name)} twice; keep one", i)
    return tuple(value)


class Changes(BaseModel):
    """The fields of a `DynamicsVariant` as they are checked; see there."""

    model_config = ConfigDict(extra="forbid")
    mass: Annotated[Factors, _factors(1 / MOST)] = 1.0
    friction: Annotated[Factors, _factors(0.0)] = 1.0
    damping: Annotated[Factors, _factors(0.0)] = 1.0
    gear: Annotated[Factors, _factors(-MOST)] = 1.0
    delay: Annotated[int, PlainValidator(_steps)] = 0
    lock: Annotated[tuple[str, ...], PlainValidator(_names)] = ()

    def named(self, name: str) -> DynamicsVariant:
        """The variant of that name."""
        return DynamicsVariant(name, **dict(self))


def _said(text: str, *place: str | int) -> ValidationError:
    """An error at a place inside the value that is being checked."""
    error = PydanticCustomError("said", "{text}", {"text": text})
    where = tuple(part for part in place if part != "")
    return ValidationError.from_exception_data(
        "variant", [InitErrorDetails(type=error, loc=where, input=None)]
    )


def _shown(value: object) -> str:
    """A wrong value in a message, from a file or from Python."""
    return kind(value) if value is None or isinstance(value, str | list | dict) else repr(value)


def message(wrong: ErrorDetails, keys: tuple[str, ...] = tuple(Changes.model_fields)) -> str:
    """One of pydantic's errors in a line."""
    place = [part for part in wrong["loc"] if isinstance(part, str)]
    if wrong["type"] == "extra_forbidden":
        return f"no key {quoted(place[-1])}{nearest(place[-1][:60], list(keys))}"
    if wrong["type"] == "said":
        return f"{place[-1]}: {wrong['msg']}" if place else wrong["msg"]
    return f"must be 'key: value' lines, not {_shown(wrong['input'])}; keys: {', '.join(keys)}"
