"""The environment of `benchmarks.dynamics_variants`, as its robots see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.collection.policies import Noise
from mbtransfer.collection.rollout import run_lockstep
from mbtransfer.data.episode import Episode
from mbtransfer.mpc.controller import Controller
from mbtransfer.mpc.task_reward import TaskReward
from tasks.environment import Environment
from tasks.hidden_parameters import Ranges
from tasks.randomised import RandomisedScene, randomised
from tasks.registry import make
from tasks.task_starts import fresh_states


@dataclass(frozen=True, eq=False)
class World:
    """The environment as a robot sees it that is told the parameters, and one that is not; and what it should do."""

    told: Environment
    untold: Environment
    ranges: Ranges
    task: str

    @classmethod
    def of(cls, name: str, task: str, ranges: Ranges) -> "World":
        """Of an environment by name.

        Raises:
            TaskError: no such environment, task or part.
        """
        plain = make(name)
        plain.task(task)
        return cls(randomised(plain, ranges), randomised(plain, ranges, told=False), ranges, task)

    @cached_property
    def scenes(self) -> dict[bool, RandomisedScene]:
        """A scene that tells, and one that does not; their states are the same."""
        made = {True: self.told.make_scene(()), False: self.untold.make_scene(())}
        return {told: scene for told, scene in made.items() if isinstance(scene, RandomisedScene)}

    def scene(self, controller: Controller) -> RandomisedScene:
        """The one that a controller acts in."""
        return self.scenes[controller.environment is self.told]

    def starts(
        self, rng: np.random.Generator, parameters: Float[ndarray, "n K"], warm: int
    ) -> Float[ndarray, "n S"]:
        """Where episodes with these parameters begin."""
        scene = self.scenes[True]
        task = self.told.task(self.task)
        found = []
        for values in parameters:
            start = scene.with_parameters(fresh_states(scene, task, rng, 1), values)
            if warm:
                noise = Noise(scene.spec, 1, rng)
                start = run_lockstep(scene, noise, start, warm, tag="noise", seed=0)[0].state[-1:]
            found.append(start[0])
        return np.stack(found)

    def worth(self, episodes: Sequence[Episode], controller: Controller) -> Float[ndarray, " n"]:
        """Whether success came or, where there is none, the return of a whole episode at this rate."""
        scene = self.scene(controller)
        task = controller.environment.task(self.task)
        found = []
        for one in episodes:
            seen = scene.observe_privileged(one.state, task.privileged)
            if task.continuing:
                reward = task.reward(seen[:-1], torch.from_numpy(one.actions), seen[1:])
                found.append(float(reward.mean()) * self.untold.spec.episode_steps)
            else:
                found.append(float(task.success(seen).any()))
        return np.array(found)

    def goal(self, controller: Controller, batch: int) -> TaskReward:
        """What a controller plans for in so many episodes."""
        rewards = controller.rewards([controller.environment.task(self.task)])
        return TaskReward(rewards, torch.ones(batch, 1))
