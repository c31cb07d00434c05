"""Environments whose dynamics differ from episode to episode: one scene for a whole family of variants.

The hidden parameters of an episode (Doshi-Velez and Konidaris 2016, "Hidden parameter Markov decision processes") are
part of the simulator's state, so that the next state is a function of state and action as everywhere, and a batch may
hold a different variant in every row. A robot that is told of them sees them as constant columns after the others;
one that is not sees the environment as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.delayed_scene import inner_controller
from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.gymnasium_env.environment import SteppedReward
from tasks.hidden_parameters import Ranges, delays
from tasks.privileged_task import PhysicsTask, StateFunction
from tasks.simulator import RolloutSimulator, Simulator
from tasks.spec import EnvSpec, Variable
from tasks.task import Task
from tasks.variants import VariantScenes, misfit, said

KEPT = 256
"""Variants whose models are kept; more in one batch are made anew at every step."""


def randomised(environment: Environment, ranges: Ranges, *, told: bool = True, name: str = "") -> Environment:
    """The environment with hidden parameters drawn for every episode; the same tasks.

    Where there is a delay, the robot also sees the actions that it sent last: they may still be on their way.

    Args:
        environment: any that is simulated by MuJoCo and can be set to a state.
        ranges: what is drawn.
        told: whether the parameters are observed, as the last K columns.
        name: of the environment; "ENVIRONMENT/told" or "ENVIRONMENT/untold" if empty.

    Raises:
        TaskError: it lacks a part that the ranges name, has no MuJoCo simulation, or takes rewards from its own step.
    """
    plain = environment.make_scene(())
    extreme = ranges.variant(np.array([one.high or one.low for one in ranges.parameters]))
    if problem := misfit(extreme, environment, plain):
        raise TaskError(f"{environment.spec.name}: ranges of {': '.join(said(problem))}")
    spec = _spec(environment.spec, ranges, told, name)
    sizes = plain.state_size, spec.action_size
    tasks = {key: _task(task, ranges, spec, *sizes) for key, task in environment.tasks.items()}
    return replace(
        environment, spec=spec, tasks=tasks, make_scene=RandomisedScenes(environment, spec, ranges, told),
        recorded=None,
    )  # fmt: skip


@dataclass(frozen=True)
class RandomisedScenes:
    """Makes scenes of a randomised environment.

    Attributes:
        environment: whose dynamics differ.
        spec: of the randomised one.
        ranges: what is drawn.
        told: whether it is observed.
    """

    environment: Environment
    spec: EnvSpec
    ranges: Ranges
    told: bool

    def __call__(self, locked: tuple[str, ...]) -> "RandomisedScene":
        """A new scene; fixtures named in `locked` rest where they are."""
        return RandomisedScene(self, locked)


class RandomisedScene(RolloutSimulator):
    """A scene in which every episode has dynamics of its own.

    A state is the plain scene's own; after it the last actions sent, as many as the longest delay, the oldest first;
    and then the K hidden parameters.

    Args:
        maker: environment, ranges and spec.
        locked: fixtures that rest where they are.
    """

    def __init__(self, maker: RandomisedScenes, locked: tuple[str, ...]) -> None:
        plain = maker.environment.make_scene(locked)
        super().__init__(
            plain.model, maker.spec, self._see, _as_it_is, plain.sample_states, plain.look,
            hand_controller=inner_controller(plain.hand_controller, plain.state_size),
        )  # fmt: skip
        self._maker, self._locked, self._plain, self.ranges = maker, locked, plain, maker.ranges
        self._longest, self._size = maker.ranges.delay[1], plain.state_size
        self._ends = self._size + self._longest * maker.spec.action_size
        self.state_size = self._ends + len(maker.ranges.parameters)
        idle = np.clip(np.zeros(maker.spec.action_size), self._low, self._high)
        self._idle = np.tile(idle, self._longest)
        self._variant = lru_cache(maxsize=KEPT)(self._make_variant)

    def sample_states(
        self, rng: np.random.Generator, n: int, place: Mapping[str, float] | None = None
    ) -> Float[ndarray, "n S"]:
        """Random starts of the plain scene, each with hidden parameters of its own."""
        states = self._plain.sample_states(rng, n, place)
        return np.concatenate([states, np.tile(self._idle, (n, 1)), self.ranges.draw(rng, n)], axis=1)

    def with_parameters(
        self, states: Float[ndarray, "n S"], parameters: Float[ndarray, "*b K"]
    ) -> Float[ndarray, "n S"]:
        """The same states, with other hidden parameters."""
        changed = np.array(states)
        changed[:, self._ends :] = parameters
        return changed

    def parameters(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b K"]:
        """The hidden parameters of states."""
        hidden: ndarray = states[..., self._ends :]
        return hidden

    def rollout(
        self, states: Float[ndarray, "B S"], actions: Float[ndarray, "B T A"]
    ) -> Float[ndarray, "B T S"]:
        """The states after each of T control steps from each of B starts; the scene itself stays as it is.

        From where a simulation diverges its states are NaN.

        Raises:
            TaskError: an action is not finite.
        """
        hidden, (batch, steps, width) = self.parameters(states), actions.shape
        waiting = states[:, self._size : self._ends].reshape(batch, self._longest, width).astype(np.float32)
        line = np.concatenate([waiting, self._checked(actions)], axis=1)
        begin = self._longest - delays(self.ranges, hidden)
        due = np.take_along_axis(line, (begin[:, None] + np.arange(steps))[..., None], axis=1)
        path = np.empty((batch, steps, self.state_size))
        each, which = np.unique(hidden, axis=0, return_inverse=True)
        for k, values in enumerate(each):
            rows = np.flatnonzero(which.reshape(-1) == k)
            scene = self._variant(tuple(values.tolist()))
            path[rows, :, : self._size] = scene.rollout(states[rows, : self._size], due[rows])
        for t in range(steps):
            path[:, t, self._size : self._ends] = line[:, t + 1 : t + 1 + self._longest].reshape(batch, -1)
        path[:, :, self._ends :] = states[:, None, self._ends :]
        return path

    def _make_variant(self, values: tuple[float, ...]) -> Simulator:
        plain = self._maker.environment
        return VariantScenes(self.ranges.variant(np.array(values)), plain, plain.spec)(self._locked)

    def _see(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        seen = self._plain.observe(states[..., : self._size])
        sent = states[..., self._size :] if self._maker.told else states[..., self._size : self._ends]
        return np.concatenate([seen, sent.astype(np.float32)], axis=-1)


@dataclass(frozen=True)
class RandomisedJudge:
    """Judges transitions of a randomised scene by the action that takes effect in them.

    Attributes:
        judge: of the plain scene.
        ranges: what is drawn.
        state_size: S of the plain scene.
        action_size: A.
    """

    judge: StateFunction
    ranges: Ranges
    state_size: int
    action_size: int

    def __call__(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """Reward or success of each transition; where no actions are given (success), none take effect."""
        size, longest = self.state_size, self.ranges.delay[1]
        if longest and actions.shape[1]:
            waiting = states[:, size : size + longest * self.action_size].reshape(len(states), longest, -1)
            line = np.concatenate([waiting, actions[:, None]], axis=1)
            hidden = states[:, size + longest * self.action_size :]
            actions = line[np.arange(len(line)), longest - delays(self.ranges, hidden)]
        return self.judge(states[:, :size], actions, reached[:, :size])


def _spec(plain: EnvSpec, ranges: Ranges, told: bool, name: str) -> EnvSpec:
    sent = tuple(
        Variable(f"{action.name} sent {k} steps ago", action.unit, action.low, action.high)
        for k in range(ranges.delay[1], 0, -1)
        for action in plain.action
    )
    hidden = tuple(one.column for one in ranges.parameters) if told else ()
    seen = (*plain.observation, *sent, *hidden)
    return replace(
        plain, name=name or f"{plain.name}/{'told' if told else 'untold'}", observation=seen,
        constant=(*plain.constant, *range(len(seen) - len(hidden), len(seen))),
    )  # fmt: skip


def _task(task: Task, ranges: Ranges, spec: EnvSpec, state_size: int, action_size: int) -> Task:
    """The task as it is judged by the plain scene's part of states."""
    if not isinstance(task, PhysicsTask):
        return task
    if isinstance(task.judge, SteppedReward):
        raise TaskError(
            f"task {task.name!r} takes its reward from a step of its own, which knows of no ranges"
        )

    def inner(judge: StateFunction) -> RandomisedJudge:
        return RandomisedJudge(judge, ranges, state_size, action_size)

    return replace(
        task, obs_size=spec.obs_size, judge=inner(task.judge), done=inner(task.done) if task.done else None
    )


def _as_it_is(actions: ndarray) -> ndarray:
    return actions
