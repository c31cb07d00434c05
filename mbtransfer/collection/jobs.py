"""Collection jobs: seeded, independent units of work that make up a dataset."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np

from mbtransfer.errors import UserError
from tasks.spec import nearest

SCRIPTED = ("noise", "reach", "babble", "play")
"""Behaviours that need neither reward nor model."""

REWARDED = ("planner", "oracle", "explore")
"""Behaviours that plan for tasks: with a model, with the true simulator, or with a bonus for exploration."""

PLANNING = (*REWARDED, "goals", "curious")
"""Behaviours that plan: for tasks, for random goals, or for disagreement alone."""

NEED_FIXTURES = ("reach", "babble", "goals")

NEED_MODEL = ("planner", "explore", "goals", "curious")

SHARES: Mapping[str, float] = MappingProxyType({"noise": 0.05, "reach": 0.05, "babble": 0.9})
"""The default mix without a model: share of the control steps of each behaviour."""

MIXES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "scripted": SHARES,
        "tasks": MappingProxyType({"noise": 0.05, "reach": 0.05, "babble": 0.88, "oracle": 0.02}),
        "model": MappingProxyType({"babble": 0.96, "planner": 0.03, "explore": 0.01}),
        "bare scripted": MappingProxyType({"noise": 1.0}),
        "bare tasks": MappingProxyType({"noise": 0.5, "oracle": 0.5}),
        "bare model": MappingProxyType({"noise": 0.1, "planner": 0.6, "explore": 0.3}),
    }
)
"""Default mixes: without a model and tasks, with tasks alone, and with a model; `bare` is for environments without
fixtures, where there are no handles to go to."""

UNIT_EPISODES: Mapping[str, int] = MappingProxyType(
    {
        "noise": 50,
        "reach": 50,
        "babble": 50,
        "play": 10,
        "planner": 10,
        "oracle": 5,
        "explore": 10,
        "goals": 10,
        "curious": 10,
    }
)
"""Episodes per unit, run in lockstep: a unit takes seconds, so that little is lost when it is interrupted."""


@dataclass(frozen=True)
class PlannerConfig:
    """Settings of the planning behaviours; None is the planner's default."""

    planner: str = "mppi"
    horizon: int | None = None
    candidates: int | None = None
    iterations: int | None = None
    particles: int = 3
    noise: float = 0.2
    """Standard deviation of the noise on each action, as a share of half the action range."""
    bonus: float = 1.0
    """Reward of `explore` and `curious` for one unit of disagreement."""
    settings: tuple[str, ...] = ()
    """Other settings of the planner, as NAME=VALUE."""
    replan: int = 1
    """Control steps between two planning decisions."""
    chain: bool = False
    """Whether an episode continues with another task once one is done."""
    branches: int = 0
    """Number of short side branches of every episode, in addition to the requested steps."""
    model: str = ""
    """Folder of the model."""
    prepared: str = ""
    """Digest of what was prepared for the model; empty if it is not used."""
    model_digest: str = ""
    """Digest of the model's weights, whatever its folder: part of the unit's key."""


@dataclass(frozen=True)
class CollectionJob:
    """A lockstep batch of episodes: one shard of the dataset.

    Attributes:
        behaviour: name of the behaviour.
        index: number among the units of that behaviour.
        seed: source of all its randomness.
        episodes: number of episodes, side by side.
        steps: control steps of each episode.
        tasks: tasks that planning behaviours are rewarded for; episodes take turns.
        locked: fixtures that cannot be moved.
        near: share of episodes that start with the hand close to a handle.
        planning: settings of planning behaviours.
    """

    behaviour: str
    index: int
    seed: int
    episodes: int
    steps: int
    tasks: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    near: float = 0.0
    planning: PlannerConfig | None = None

    @property
    def key(self) -> str:
        """Name of its shard: equal for equal work, different for any other work."""
        about = asdict(self)
        if self.planning:
            del about["planning"]["model"]  # a model is the same in any folder
            if not self.planning.prepared:
                del about["planning"]["prepared"]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        return f"{self.behaviour}-{self.index:05d}-{digest[:8]}"

    @property
    def total_steps(self) -> int:
        """Control steps of all its episodes, if none ends early."""
        return self.episodes * self.steps


def plan_units(
    steps: int, seed: int, shares: Mapping[str, float] = SHARES, *,
    episode_steps: int = 60, unit_episodes: int | None = None, tasks: tuple[str, ...] = (),
    locked: tuple[str, ...] = (), near: float = 0.5, planning: PlannerConfig | None = None,
) -> list[CollectionJob]:  # fmt: skip
    """Split at least `steps` control steps into units; planning units come first, as they take longest.

    Args:
        steps: total number of control steps, rounded up to whole episodes.
        seed: the command's seed; each unit's own is derived from it, the behaviour and the index.
        shares: share of the episodes of each behaviour; only the proportions count.
        episode_steps: control steps per episode.
        unit_episodes: episodes per unit; None for `UNIT_EPISODES`.
        tasks: names of tasks for the planning behaviours.
        locked: names of fixtures that cannot be moved.
        near: share of episodes that start with the hand close to a handle; none of those of play do.
        planning: settings of planning behaviours.

    Raises:
        UserError: an invalid number, or an unknown behaviour.
    """
    _check(steps, seed, episode_steps, unit_episodes, near)
    episode_steps = min(episode_steps, steps)
    counts = _apportion(-(-steps // episode_steps), shares)
    units = []
    for behaviour in sorted(counts, key=(*PLANNING, *SCRIPTED).index):
        size = unit_episodes or UNIT_EPISODES[behaviour]
        plans = behaviour in PLANNING
        for index, first in enumerate(range(0, counts[behaviour], size)):
            units.append(
                CollectionJob(
                    behaviour, index, unit_seed(seed, behaviour, index),
                    min(size, counts[behaviour] - first), episode_steps,
                    tasks if behaviour in REWARDED else (), locked, 0.0 if behaviour == "play" else near,
                    (planning or PlannerConfig()) if plans else None,
                )
            )  # fmt: skip
    return units


def parse_mix(texts: Sequence[str]) -> dict[str, float]:
    """Parse shares of behaviours such as `babble=0.9`; a name alone counts 1.

    Raises:
        UserError: a behaviour is given twice, or a share is not a number.
    """
    shares: dict[str, float] = {}
    for text in texts:
        name, equals, share = text.partition("=")
        if name in shares:
            raise UserError(f"behaviour {name} is given twice")
        try:
            shares[name] = float(share) if equals else 1.0
        except ValueError:
            raise UserError(f"the share of {name} must be a number, not {share!r}") from None
    return shares


def unit_seed(seed: int, behaviour: str, index: int) -> int:
    """The seed of one unit; below 2^53, so that every JSON reader gets the exact number."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(behaviour.encode()), index])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(11))


def _check(steps: int, seed: int, episode_steps: int, unit_episodes: int | None, near: float) -> None:
    if steps < 1 or episode_steps < 1 or (unit_episodes is not None and unit_episodes < 1):
        raise UserError(f"cannot collect {steps} steps in episodes of {episode_steps} steps; give at least 1")
    if seed < 0:
        raise UserError(f"the seed must be 0 or greater, not {seed}")
    if not 0.0 <= near <= 1.0:
        raise UserError(f"the share of starts near a handle must be from 0 to 1, not {near:g}")


def _apportion(episodes: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole episodes per behaviour, by largest remainder."""
    for name, share in shares.items():
        if name not in UNIT_EPISODES:
            raise UserError(f"no behaviour {name!r}{nearest(name, list(UNIT_EPISODES))}")
        if not 0.0 <= share < float("inf"):
            raise UserError(f"the share of {name} must be 0 or greater, not {share:g}")
    total = sum(shares.values())
    if not total:
        raise UserError("nothing to collect: every behaviour's share is 0")
    exact = {name: episodes * share / total for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: episodes - sum(counts.values())]:
        counts[name] += 1
    return {name: count for name, count in counts.items() if count}
