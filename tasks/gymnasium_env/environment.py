"""A Gymnasium environment as an `Environment`: settable where MuJoCo is behind it, live where not."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from tasks.environment import Environment
from tasks.gymnasium_env.asked import Asked, parse
from tasks.gymnasium_env.describe import describe
from tasks.gymnasium_env.live_scene import LiveScene
from tasks.gymnasium_env.load import episode_steps, load
from tasks.gymnasium_env.mujoco_scene import MujocoScene, refuse_fixtures
from tasks.gymnasium_env.native import SteppedReward, native_task, noted_reward
from tasks.gymnasium_env.puppet import Puppet, looks_like_mujoco
from tasks.scene import Scene
from tasks.spec import EnvSpec


@dataclass(frozen=True)
class SceneMaker:
    """Makes scenes of one environment; `settable` says of which kind."""

    asked: Asked
    spec: EnvSpec
    settable: bool

    def __call__(self, locked: tuple[str, ...]) -> Scene:
        """A new scene.

        Raises:
            TaskError: a fixture is named; there are none.
        """
        refuse_fixtures(self.spec.name, locked)
        if self.settable:
            return MujocoScene(Puppet(load(self.asked)), self.spec)
        return LiveScene(lambda: load(self.asked), self.spec)


def gymnasium_environment(text: str) -> Environment:
    """The environment that `gym:TEXT` names.

    Its states can be set, and the oracle can plan in it, if it is a `MujocoEnv` and a short trial shows that
    its observations and rewards follow from MuJoCo's state and the actions alone.

    Raises:
        TaskError: one line; see `tasks.gymnasium_env.load`.
    """
    asked = parse(text)
    env = load(asked)
    try:
        spec = describe(env, asked.name, episode_steps(asked, env))
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


def _is_a_function_of_state(env: gymnasium.Env[Any, Any], asked: Asked, spec: EnvSpec) -> bool:
    """Whether our scene and the environment as it runs agree for a few steps of two episodes."""
    puppet, reward = Puppet(load(asked)), SteppedReward(asked)
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
