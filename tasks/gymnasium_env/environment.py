"""Gymnasium environments as planning environments."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.environment import Environment
from tasks.gymnasium_env.loader import GymName, episode_steps, load_env, parse_name
from tasks.gymnasium_env.mujoco_scene import MujocoScene, StateSettableEnv, looks_like_mujoco, refuse_fixtures
from tasks.gymnasium_env.spec import make_spec
from tasks.gymnasium_env.step_only_scene import REWARD, StepOnlySimulator
from tasks.privileged_task import PhysicsTask, StateFunction
from tasks.simulator import Simulator
from tasks.spec import EnvSpec


@dataclass(frozen=True)
class SceneMaker:
    """Makes scenes of one environment; `settable` says of which kind."""

    asked: GymName
    spec: EnvSpec
    settable: bool

    def __call__(self, locked: tuple[str, ...]) -> Simulator:
        """A new scene.

        Raises:
            TaskError: a fixture is named; there are none.
        """
        refuse_fixtures(self.spec.name, locked)
        if self.settable:
            return MujocoScene(StateSettableEnv(load_env(self.asked)), self.spec)
        return StepOnlySimulator(lambda: load_env(self.asked), self.spec)


def gymnasium_environment(text: str) -> Environment:
    """The environment that `gym:TEXT` names.

    Its states can be set, and the oracle can plan in it, if it is a `MujocoEnv` and a short trial shows that
    its observations and rewards follow from MuJoCo's state and the actions alone.

    Raises:
        TaskError: one line; see `tasks.gymnasium_env.loader`.
    """
    asked = parse_name(text)
    env = load_env(asked)
    try:
        spec = make_spec(env, asked.name, episode_steps(asked, env))
        settable = looks_like_mujoco(env) and _is_a_function_of_state(env, asked, spec)
    finally:
        env.close()
    judge = SteppedReward(asked) if settable else noted_reward
    task = native_task(asked, spec.obs_size, judge)
    return Environment(
        spec, {task.name: task}, SceneMaker(asked, spec, settable), _cameras(env) if settable else ()
    )


def _cameras(env: gymnasium.Env[Any, Any]) -> tuple[str, ...]:
    model = env.unwrapped.model  # type: ignore[attr-defined]
    return tuple(model.camera(i).name for i in range(model.ncam))


def _is_a_function_of_state(env: gymnasium.Env[Any, Any], asked: GymName, spec: EnvSpec) -> bool:
    """Whether our scene and the environment as it runs agree for a few steps of two episodes."""
    puppet, reward = StateSettableEnv(load_env(asked)), SteppedReward(asked)
    scene = MujocoScene(puppet, spec)
    data: Any = env.unwrapped.data  # type: ignore[attr-defined]
    env.action_space.seed(1)
    for seed in range(2):
        obs, _ = env.reset(seed=seed)
        state = puppet.start(seed)
        for _ in range(5):
            if not np.allclose(scene.observe(state), obs, rtol=1e-3, atol=1e-2):
                return False
            action = env.action_space.sample()
            data.qacc_warmstart[:] = 0.0  # the solver starts cold, as in our roll-outs
            obs, given, *_ = env.step(action)
            after = scene.rollout(state[None], action[None, None])[:, 0]
            if not np.isclose(
                reward(state[None], action[None], after)[0], float(given), rtol=1e-3, atol=1e-3
            ):
                return False
            state = after[0]
    return True


NATIVE = "native"
"""Name of the task."""


@dataclass(frozen=True)
class SteppedReward:
    """Puts an instance into each state and reads what its own `step` gives: exact, one by one."""

    asked: GymName

    def __call__(
        self, states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
    ) -> Float[ndarray, " n"]:
        """The reward of each transition."""
        puppet = _puppet(self.asked)
        return np.array([puppet.reward(*pair) for pair in zip(states, actions, strict=True)])


def noted_reward(
    states: Float[ndarray, "n S"], actions: Float[ndarray, "n A"], reached: Float[ndarray, "n S"]
) -> Float[ndarray, " n"]:
    """The reward that a ticket carries."""
    return reached[:, REWARD]


def native_task(asked: GymName, obs_size: int, judge: StateFunction) -> PhysicsTask:
    """The task: there is no success in it, an episode only goes on."""
    return PhysicsTask(NATIVE, f"the reward of {asked.text} itself", "source", obs_size, judge)


@lru_cache(maxsize=4)
def _puppet(asked: GymName) -> StateSettableEnv:
    return StateSettableEnv(load_env(asked))
