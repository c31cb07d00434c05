"""A toy world that is stepped in closed form: a hand in space and two sliders that it can push."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.layout import Body, Layout
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Segments, Transitions

HOMES = torch.tensor([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0]])
"""Where each slider's handle is at position zero; sliders run along x."""

TOUCH, FASTEST = 0.08, 0.06

HAND = Body("hand", (0, 1, 2), (5, 6, 7))
SLIDERS = (Body("left", (3,), (8,), (10, 11, 12)), Body("right", (4,), (9,), (13, 14, 15)))
NAMES = ("x", "y", "z", "left", "right", "vx", "vy", "vz", "left_v", "right_v")

LAYOUT = Layout(
    columns=(*NAMES, "lx", "ly", "lz", "rx", "ry", "rz"),
    low=(-0.5,) * 3 + (-0.1,) * 2 + (-0.1,) * 5 + (-1.0,) * 6,
    high=(0.5,) * 3 + (0.1,) * 2 + (0.1,) * 5 + (1.0,) * 6,
    limited=(True,) * 5 + (False,) * 11,
    action_size=3,
    hand=HAND,
    objects=SLIDERS,
)


def observe(hand: Tensor, slide: Tensor, hand_v: Tensor, slide_v: Tensor) -> Tensor:
    """[B, 16], from hand [B, 3] and sliders [B, 2]."""
    handles = HOMES + torch.stack([slide, 0 * slide, 0 * slide], dim=-1)
    vectors = (handles - hand[:, None]).flatten(1)
    return torch.cat([hand, slide, hand_v, slide_v, vectors], dim=1)


def step(obs: Tensor, action: Tensor, free: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """One control step: the hand's speed follows the action, and a free slider in reach follows the hand."""
    hand, slide, speed = obs[:, :3], obs[:, 3:5], 0.3 * obs[:, 5:8] + 0.7 * FASTEST * action
    moved = (hand + speed).clamp(-0.5, 0.5)
    near = obs[:, 10:].unflatten(1, (2, 3)).norm(dim=-1) < TOUCH
    pushed = (slide + torch.tensor(free) * near * (moved - hand)[:, :1]).clamp(-0.1, 0.1)
    return observe(moved, pushed, moved - hand, pushed - slide)


def episodes(
    count: int, steps: int, seed: int, free: tuple[float, float] = (1.0, 1.0)
) -> list[tuple[Tensor, Tensor]]:
    """obs [T+1, 16] and actions [T, 3] of a hand that visits the handles and jitters."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(count, 5, generator=generator) * 2 - 1
    zero = torch.zeros(count, 3), torch.zeros(count, 2)
    path, actions = [observe(0.4 * uniform[:, :3], 0.1 * uniform[:, 3:], *zero)], []
    for t in range(steps):
        side = (torch.arange(count) + t // 20) % 2
        aim = path[-1][:, 10:].unflatten(1, (2, 3))[torch.arange(count), side]
        noise = torch.randn(count, 3, generator=generator)
        actions.append((aim / FASTEST + noise).clamp(-1, 1))
        path.append(step(path[-1], actions[-1], free))
    obs, action = torch.stack(path, dim=1), torch.stack(actions, dim=1)
    return [(obs[b], action[b]) for b in range(count)]


@pytest.fixture(scope="session")
def layout() -> Layout:
    return LAYOUT


@pytest.fixture(scope="session")
def train() -> Transitions:
    """2,400 transitions."""
    return Transitions.of(episodes(40, 60, seed=0))


@pytest.fixture(scope="session")
def valid() -> Transitions:
    """Of other episodes."""
    return Transitions.of(episodes(10, 60, seed=1))


@pytest.fixture(scope="session")
def segments() -> Segments:
    """Stretches of the episodes of `valid`."""
    return Segments.cut(episodes(10, 60, seed=1), 12, 64, torch.Generator().manual_seed(2))


@pytest.fixture(scope="session")
def play() -> Callable[..., Transitions]:
    """`play(count, steps, seed, free)`: transitions of episodes; `free` says which sliders are not locked."""
    return lambda *args, **keywords: Transitions.of(episodes(*args, **keywords))


@pytest.fixture(scope="session")
def _locked() -> EnsembleDynamics:
    layout = replace(LAYOUT, hand_actions=(0, 1, 2))
    dynamics = EnsembleDynamics(
        layout, EnsembleConfig(members=3, hidden=32), torch.Generator().manual_seed(0)
    )
    train, valid = (Transitions.of(episodes(n, 60, k, (1.0, 0.0))) for k, n in enumerate((40, 10)))
    for _ in fit(dynamics, train, valid, TrainingConfig(epochs=12, batch=64)):
        pass
    return dynamics


@pytest.fixture
def locked(_locked: EnsembleDynamics) -> EnsembleDynamics:
    """A copy of an ensemble of three in whose data the right slider was locked; all are elites."""
    copy = EnsembleDynamics(_locked.layout, _locked.config)
    copy.load_state_dict(_locked.state_dict())
    copy.elites = torch.arange(3)
    return copy


Build = Callable[..., EnsembleDynamics]


@pytest.fixture
def build() -> Build:
    """A new ensemble of two small members; keywords change its configuration."""

    def make(seed: int = 0, **settings: object) -> EnsembleDynamics:
        config = replace(EnsembleConfig(members=2, hidden=16), **settings)  # type: ignore[arg-type]
        return EnsembleDynamics(LAYOUT, config, torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def _fitted(train: Transitions, valid: Transitions) -> EnsembleDynamics:
    config = EnsembleConfig(members=3, hidden=32)
    dynamics = EnsembleDynamics(LAYOUT, config, torch.Generator().manual_seed(0))
    for _ in fit(dynamics, train, valid, TrainingConfig(epochs=12, batch=64)):
        pass
    return dynamics


@pytest.fixture
def fitted(_fitted: EnsembleDynamics) -> EnsembleDynamics:
    """A copy of an ensemble of three that knows the toy world; all are elites, in order."""
    copy = EnsembleDynamics(LAYOUT, _fitted.config)
    copy.load_state_dict(_fitted.state_dict())
    copy.elites = torch.arange(3)
    return copy


@pytest.fixture(scope="session")
def still() -> Callable[..., Tensor]:
    """`still(hand [B, 3], slide [B, 2])`: observations [B, 16] of the toy world at rest."""

    def make(hand: Tensor, slide: Tensor) -> Tensor:
        return observe(hand, slide, torch.zeros_like(hand), torch.zeros_like(slide))

    return make
