"""A pendulum that was seen in its first turn only, and is then asked about others."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from world_models.checkpoint.checkpoint import load_dynamics, save_dynamics
from world_models.checkpoint.manifest import first_difference, read_layout
from world_models.dynamics.blocks import Features, make_blocks
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.training.trainer import TrainingConfig, fit
from world_models.transitions import Transitions

PENDULUM = Layout(("angle", "speed"), (-3.2, -8.0), (3.2, 8.0), (False, False), 1, angles=(0,))
TURN = 2 * torch.pi


def swing(obs: Tensor, action: Tensor) -> Tensor:
    """One control step of 0.05 s: gravity, friction and a torque; the angle counts turns."""
    angle, speed = obs.unbind(-1)
    speed = 0.98 * speed + 0.05 * (9.8 * angle.sin() + 3 * action[..., 0])
    return torch.stack([angle + 0.05 * speed, speed], dim=-1)


def play(count: int, seed: int, turn: float = 0.0) -> Transitions:
    """Transitions from all over one turn."""
    uniform = 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) - 1
    obs = uniform[:, :2] * torch.tensor([torch.pi, 6.0]) + torch.tensor([turn, 0.0])
    return Transitions(obs, uniform[:, 2:], swing(obs, uniform[:, 2:]))


def fitted(layout: Layout) -> EnsembleDynamics:
    config = EnsembleConfig(members=2, hidden=48, structure="dense")
    dynamics = EnsembleDynamics(layout, config, torch.Generator().manual_seed(0))
    for _ in fit(
        dynamics, play(3000, 0), play(500, 1), TrainingConfig(epochs=25, batch=64, precision="float32")
    ):
        pass
    return dynamics


@pytest.fixture(scope="module")
def pendulum() -> EnsembleDynamics:
    return fitted(PENDULUM)


def missed(dynamics: EnsembleDynamics, turn: float) -> float:
    """Share of the change of speed that is left unexplained in a turn."""
    data = play(500, 2, turn)
    mean = dynamics(data.obs.expand(2, -1, -1), data.actions.expand(2, -1, -1)).mean.detach()
    truth = (data.next_obs - data.obs)[:, 1]
    error = mean[..., 1] * dynamics.normalizer.change[1] - truth
    return float(error.square().mean() / truth.square().mean())


def test_another_turn_is_like_the_first(pendulum: EnsembleDynamics) -> None:
    assert missed(pendulum, 0.0) < 0.02
    for turns in (1, -2, 10):
        assert missed(pendulum, turns * TURN) < 0.02


def test_without_angles_it_is_not() -> None:
    raw = fitted(replace(PENDULUM, angles=()))
    assert missed(raw, 0.0) < 0.02
    assert missed(raw, TURN) > 0.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_roll_out_counts_turns(pendulum: EnsembleDynamics, precision: str) -> None:
    """The angle itself is predicted, not its sine: it goes on into the second turn."""
    obs, plan = torch.tensor([[3.0, 7.0]]), torch.ones(1, 20, 1)
    path = [obs]
    for t in range(20):
        path.append(swing(path[-1], plan[:, t]))
    found = Imagination(pendulum, 2, precision=precision)(obs, plan).obs[:, :, 0, 0]  # type: ignore[arg-type]
    assert float(path[-1][0, 0]) > torch.pi + 2
    close = 0.3 if precision == "float32" else 0.6
    assert torch.allclose(found, torch.cat(path)[:, :1].expand(-1, 2), atol=close)


def test_the_raw_column_is_not_read() -> None:
    at = Features.of(PENDULUM)
    assert make_blocks(PENDULUM, "dense").reads.tolist() == [[1, at.sine, at.cosine, at.action]]


@pytest.mark.parametrize("structure", ["objects", "shared", "attention"])
def test_a_turning_object_is_read_so_too(layout: Layout, train: Transitions, structure: str) -> None:
    limited = tuple(yes and column != 3 for column, yes in enumerate(layout.limited))
    turning = replace(layout, limited=limited, angles=(3,))
    at, reads = Features.of(turning), make_blocks(turning, structure).reads
    assert 3 not in reads.flatten().tolist()
    assert {at.sine, at.cosine} <= set(reads[1].tolist()) and at.sine not in reads[2].tolist()
    config = EnsembleConfig(members=1, hidden=16, structure=structure)
    dynamics = EnsembleDynamics(turning, config, torch.Generator().manual_seed(0))
    turned = train.obs[:50].clone()
    turned[:, 3] += 4 * torch.pi
    means = [dynamics(obs[None], train.actions[None, :50]).mean for obs in (train.obs[:50], turned)]
    assert torch.allclose(*means, atol=1e-4)


def test_angles_travel_with_the_model(pendulum: EnsembleDynamics, tmp_path: Path) -> None:
    save_dynamics(tmp_path, pendulum)
    found, _ = load_dynamics(tmp_path, expect=PENDULUM)
    assert found.layout.angles == (0,)
    with pytest.raises(ModelError, match="are angles in the model"):
        load_dynamics(tmp_path, expect=replace(PENDULUM, angles=()))


def test_layouts_of_older_models_have_no_angles(layout: Layout) -> None:
    data = asdict(layout)
    del data["angles"]
    found = read_layout({"layout": data}, "manifest")
    assert found == layout and first_difference(found, layout) is None


@pytest.mark.parametrize("at", [16, -1, 3])
def test_an_angle_that_is_none_is_refused(layout: Layout, at: int) -> None:
    """No such column, or a joint with limits."""
    with pytest.raises(ModelError, match="no unlimited column"):
        read_layout({"layout": asdict(layout) | {"angles": [at]}}, "manifest")
