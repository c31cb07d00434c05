"""What the planners of `benchmarks.dynamics_variants` learn from, and what they learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.dynamics_variants.world import World
from mbtransfer.collection.planning_policy import PlannerBehaviour
from mbtransfer.collection.policies import Behaviour, Noise, babbling
from mbtransfer.collection.rollout import run_lockstep, sample_starts
from mbtransfer.data.episode import Episode
from mbtransfer.model import model_layout
from mbtransfer.mpc.controller import Controller, model_controller
from mbtransfer.mpc.identification import identifying_controller
from mbtransfer.mpc.objective import ReturnEstimator
from mbtransfer.mpc.task_reward import Rewards
from mbtransfer.training.identification import known_episodes, without_parameters
from tasks.environment import Environment
from tasks.task import Task
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.identification.encoder import ParameterEncoder
from world_models.identification.fit import IdentificationConfig, fit_encoder
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Transitions

HELD_OUT = 0.1
"""Share of the episodes that judge the fit of a model."""

AT_ONCE = 100
"""Episodes that are collected side by side."""

NOISE = 0.2
"""Standard deviation of the noise on planned actions of the pool, as a share of half the action range."""

RATE, RATE_OF_BLOCKS = 2e-3, 1e-2
"""Learning rates of one wide block, and of one small block per object."""


@dataclass(frozen=True)
class Settings:
    """Of one experiment.

    Attributes:
        noise, planned: episodes of the pool by random actions, and by planning with noise.
        pool_steps, steps: control steps of an episode of the pool, and of a tested one.
        warm: steps of random actions before an episode begins.
        members, hidden, epochs: of each ensemble.
        labels: behind the reward head, where the true reward needs the simulator's state.
        identification: of the encoder.
        episodes: in each variant of the first table.
        variants: drawn for the other tables.
        beyond: how many times as wide their ranges are, in the logarithm; 1 for the ranges themselves.
        draws, tail: parameters under which `cvar` follows a plan, and the share of all futures that counts.
        planner: settings of the planner.
    """

    noise: int = 300
    planned: int = 60
    pool_steps: int = 60
    steps: int = 100
    warm: int = 0
    members: int = 3
    hidden: int = 128
    epochs: int = 150
    labels: int = 5000
    identification: IdentificationConfig = field(default_factory=IdentificationConfig)
    episodes: int = 2
    variants: int = 20
    beyond: float = 1.0
    draws: int = 4
    tail: float = 0.25
    planner: dict[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pool:
    """Episodes of the told environment, in one kind of dynamics."""

    episodes: list[Episode]

    def transitions(self) -> tuple[Transitions, Transitions]:
        """To learn from, and to judge by: every tenth episode."""
        pairs = [(torch.from_numpy(one.obs), torch.from_numpy(one.actions)) for one in self.episodes]
        cut = max(1, round(1 / HELD_OUT))
        judging = pairs[::cut]
        return Transitions.of([pair for k, pair in enumerate(pairs) if k % cut]), Transitions.of(judging)


def collect_noise(world: World, asked: Settings, rng: np.random.Generator, *, nominal: bool) -> list[Episode]:
    """Episodes without a model: random actions or, where there are fixtures, handle babbling."""
    scene = world.scenes[True]
    found: list[Episode] = []
    for begin in range(0, asked.noise, AT_ONCE):
        count = min(AT_ONCE, asked.noise - begin)
        states = sample_starts(scene, rng, count, 0.5)
        if nominal:
            states = scene.with_parameters(states, 0.0 * scene.parameters(states))
        fixtures = scene.spec.fixtures
        behaviour: Behaviour = babbling(scene, count, rng) if fixtures else Noise(scene.spec, count, rng)
        found += run_lockstep(scene, behaviour, states, asked.pool_steps, tag="noise", seed=begin)
    return found


def collect_planned(
    world: World, controller: Controller, asked: Settings, rng: np.random.Generator, *, nominal: bool
) -> list[Episode]:
    """Episodes by a controller of the told environment, with noise on its actions."""
    scene = world.scenes[True]
    drawn = scene.ranges.draw(rng, asked.planned)
    states = world.starts(rng, 0.0 * drawn if nominal else drawn, asked.warm)
    agent = controller.agent(int(rng.integers(2**31)))
    behaviour = PlannerBehaviour(agent, world.goal(controller, asked.planned), NOISE, rng)
    return run_lockstep(scene, behaviour, states, asked.steps, tag="planner", seed=0)


def fit_dynamics(
    environment: Environment, train: Transitions, valid: Transitions, asked: Settings, seed: int
) -> EnsembleDynamics:
    """An ensemble of the environment."""
    fixtures = bool(environment.spec.fixtures)
    shape = EnsembleConfig(asked.members, "objects" if fixtures else "dense", asked.hidden)
    rate = RATE_OF_BLOCKS if fixtures else RATE
    dynamics = EnsembleDynamics(model_layout(environment.spec), shape, torch.Generator().manual_seed(seed))
    training = TrainingConfig(epochs=asked.epochs, learning_rate=rate, elites=asked.members)
    for _ in fit(dynamics, train, valid, training, seed):
        pass
    return dynamics


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What was learned with one seed."""

    world: World
    settings: Settings
    told: EnsembleDynamics
    blind: EnsembleDynamics
    nominal: EnsembleDynamics
    encoder: ParameterEncoder
    rewards: Callable[[Sequence[Task]], Rewards] | None

    @classmethod
    def of(cls, world: World, asked: Settings, seed: int, note: Callable[[str], None]) -> "Knowledge":
        """Collect by random actions, fit, collect by planning, and fit again."""
        rng, size = np.random.default_rng(seed), len(world.ranges.parameters)
        pools: dict[bool, Pool] = {}
        rewards: Callable[[Sequence[Task]], Rewards] | None = None
        for nominal in (False, True):
            pool = Pool(collect_noise(world, asked, rng, nominal=nominal))
            if asked.planned:
                rewards = learned_rewards(world, pool, asked, seed)
                dynamics = fit_dynamics(world.told, *pool.transitions(), asked, seed)
                planning = model_controller(world.told, dynamics, rewards=rewards, settings=asked.planner)
                pool = Pool(pool.episodes + collect_planned(world, planning, asked, rng, nominal=nominal))
            pools[nominal] = pool
            note(
                f"pool of {sum(map(len, pool.episodes))} transitions, {'nominal' if nominal else 'randomised'}"
            )
        train, valid = pools[False].transitions()
        narrow = without_parameters(train, size), without_parameters(valid, size)
        plain = [without_parameters(part, size) for part in pools[True].transitions()]
        rewards = learned_rewards(world, pools[False], asked, seed)
        told = fit_dynamics(world.told, train, valid, asked, seed)
        blind = fit_dynamics(world.untold, *narrow, asked, seed)
        nominal_only = fit_dynamics(world.untold, plain[0], plain[1], asked, seed)
        note("dynamics")
        known = known_episodes(pools[False].episodes, size)
        encoder = fit_encoder(known, asked.identification, seed=seed)
        note("encoder")
        return cls(world, asked, told, blind, nominal_only, encoder, rewards)

    def controller(self, planner: str) -> Controller:
        """The controller of that name."""
        world, asked = self.world, self.settings
        if planner in ("told", "blind", "nominal"):
            environment = world.told if planner == "told" else world.untold
            dynamics: EnsembleDynamics = getattr(self, planner)
            return model_controller(environment, dynamics, rewards=self.rewards, settings=asked.planner)
        cvar = planner.endswith("cvar")
        # Without identification or risk, the mean over draws stands for all that the ranges hold.
        draws = asked.draws if cvar or planner == "ranges" else 1
        estimator = ReturnEstimator(risk="cvar", tail=asked.tail) if cvar else None
        return identifying_controller(
            world.untold, self.told, world.ranges, None if planner.startswith("ranges") else self.encoder,
            rewards=self.rewards, draws=draws, window=asked.identification.window, estimator=estimator,
            settings=asked.planner,
        )  # fmt: skip


def learned_rewards(
    world: World, pool: Pool, asked: Settings, seed: int
) -> Callable[[Sequence[Task]], Rewards] | None:
    """A head on what everybody sees, where the true reward needs the simulator's state; else None."""
    task = world.untold.task(world.task)
    if not task.privileged:
        return None
    scene = world.scenes[False]
    before = np.concatenate([one.state[:-1] for one in pool.episodes])
    after = np.concatenate([one.state[1:] for one in pool.episodes])
    actions = torch.from_numpy(np.concatenate([one.actions for one in pool.episodes]))
    rows = np.random.default_rng(seed).permutation(len(before))[: asked.labels]
    seen, then = (scene.observe_privileged(states[rows], True) for states in (before, after))
    reward, success = task.reward(seen, actions[rows], then), task.success(then)
    size = world.untold.spec.obs_size
    labels = Labels(seen[:, :size].float(), actions[rows], then[:, :size].float(), reward, success)
    heads = RewardHeads(model_layout(world.untold.spec))
    heads.add(task.name, labels, seed)
    return lambda tasks: heads.select([one.name for one in tasks])
