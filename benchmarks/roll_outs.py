"""How far a model's roll-outs stray on held-out stretches, and how long they take."""

from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from tasks.spec import Fixture
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.dynamics.precision import Precision
from world_models.dynamics.rollout import Imagination
from world_models.normalizer import moving_scale
from world_models.transitions import Segments, Transitions

PLANS, PARTICLES, TURNS = 64, 2, 60
"""Plans imagined at once, particles of each, and how often they are timed."""

WAYS: tuple[Precision, ...] = ("float32", "bfloat16")

MOVES = 0.05
"""Share of its range by which a fixture moves in a stretch that judges it."""

CHUNK = 1024


@dataclass(frozen=True)
class Judge:
    """Stretches, and the columns on which they judge.

    Attributes:
        paths: N stretches of H control steps.
        unit: [O], what an error counts in; infinite for columns that do not count.
    """

    paths: Segments
    unit: Tensor

    @classmethod
    def of_all(cls, paths: Segments, data: Transitions) -> "Judge":
        """Every column counts in its usual change, whatever scales a model has."""
        return cls(paths, moving_scale(data.obs, data.next_obs).clamp(min=1e-6))

    @classmethod
    def of_one(cls, paths: Segments, fixture: Fixture, data: Transitions) -> "Judge":
        """Where one fixture moves, and on its joint alone."""
        moved = (paths.obs[:, -1] - paths.obs[:, 0])[:, fixture.position].abs() > MOVES * fixture.span
        whole = cls.of_all(Segments(paths.obs[moved], paths.actions[moved]), data)
        alone = torch.full_like(whole.unit, torch.inf)
        alone[fixture.position] = whole.unit[fixture.position]
        return cls(whole.paths, alone)

    def error(self, dynamics: EnsembleDynamics) -> list[float]:
        """Root mean square error of each member alone after 1 to H steps, as a share of "nothing moves"."""
        follow = Imagination(dynamics, particles=len(dynamics.elites))
        missed = moved = torch.zeros(self.paths.horizon)
        for start in range(0, len(self.paths), CHUNK):
            obs, actions = (part[start : start + CHUNK] for part in vars(self.paths).values())
            truth = obs[:, 1:].transpose(0, 1)
            path = follow(obs[:, 0], actions).particles[1:]
            missed = missed + (((path - truth[:, None]) / self.unit) ** 2).mean(dim=1).sum(dim=(1, 2))
            moved = moved + (((obs[:, 0] - truth) / self.unit) ** 2).sum(dim=(1, 2))
        return (missed / moved).sqrt().tolist()


def milliseconds(dynamics: EnsembleDynamics, paths: Segments) -> dict[str, float]:
    """The quickest imagined roll-out of `PLANS` plans, by number format: other work only slows it down."""
    obs, actions = paths.obs[:PLANS, 0].contiguous(), paths.actions[:PLANS].contiguous()
    found: dict[str, float] = {}
    for way in WAYS:
        follow = Imagination(dynamics, PARTICLES, precision=way)
        turns = []
        for _ in range(TURNS):
            begin = perf_counter()
            follow(obs, actions)
            turns.append(perf_counter() - begin)
        found[way] = 1000 * min(turns)
    return found
