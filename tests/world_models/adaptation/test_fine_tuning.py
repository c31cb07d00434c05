"""Each way of fine-tuning, where its end is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from world_models.adaptation.adapt import rescale
from world_models.adaptation.fine_tuning import VARIANTS, VariantConfig, fine_tune
from world_models.adaptation.lateral_adapter import detach
from world_models.adaptation.unexplained import unexplained
from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.transitions import Transitions

Play = Callable[..., Transitions]
Build = Callable[..., EnsembleDynamics]

LEFT, RIGHT = 3, 4
QUICK = VariantConfig(epochs=2, steps_per_epoch=20, batch=64)


@pytest.fixture(scope="module")
def pool(play: Play) -> Transitions:
    """What the model was fitted on: the right slider is locked."""
    return play(20, 60, 0, (1.0, 0.0))


@pytest.fixture(scope="module")
def new(play: Play) -> Transitions:
    """Four episodes in which it moves, and the left one does not."""
    return play(4, 60, 5, (0.0, 1.0))


@pytest.fixture(scope="module")
def held_out(play: Play) -> Transitions:
    return play(2, 60, 6, (0.0, 1.0))


def hidden(dynamics: EnsembleDynamics, data: Transitions) -> Tensor:
    """[E, h + 1, B]: the units of the only hidden layer of a dense ensemble, and a one."""
    members = dynamics.config.members
    obs, action = (x.T.expand(members, -1, -1) for x in (data.obs, data.actions))
    inputs, _ = dynamics.features(obs, action)
    units = torch.relu(dynamics.weights[0] @ inputs[:, dynamics.reads[0]] + dynamics.biases[0]).detach()
    return torch.cat([units, torch.ones_like(units[:, :1])], dim=1)


def test_ewc_ends_at_the_solution_of_the_quadratic_problem(
    build: Build, pool: Transitions, new: Transitions
) -> None:
    """With frozen hidden units the network is linear in what learns, and the squared error quadratic."""
    dynamics = build(structure="dense", layers=1)
    dynamics.normalizer.fit(new.obs, new.next_obs)
    for frozen in (dynamics.weights[0], dynamics.biases[0]):
        frozen.requires_grad_(False)
    old, few = pool[:1000], new[:200]
    config = VariantConfig(
        "ewc", epochs=10, steps_per_epoch=100, batch=200, learning_rate=0.05, loss="mse", strength=2.0
    )
    found = fine_tune(dynamics, old, few, few, config).dynamics
    now, before = (torch.cat([d.weights[1], d.biases[1]], dim=2).detach().double() for d in (found, dynamics))
    columns = new.obs.shape[1]
    change = ((few.next_obs - few.obs) / dynamics.normalizer.change).double()
    units, known = (hidden(dynamics, data).double() for data in (few, old))
    for member in range(2):
        h, importance = units[member], 2 / columns * known[member].square().mean(dim=1)
        curvature = 2 / (columns * 200) * h @ h.T
        hold = 2.0 * torch.diag(importance)
        pull = 2 / (columns * 200) * h @ change + hold @ before[member].T
        best = torch.linalg.solve(curvature + hold, pull).T
        distance = (now[member] - best).norm() / (before[member] - best).norm()
        assert float(distance) < 1e-2
    assert torch.equal(found.weights[0], dynamics.weights[0])
    assert [p.requires_grad for p in found.parameters()] == [p.requires_grad for p in dynamics.parameters()]


def test_l2_sp_of_infinite_strength_leaves_the_weights(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions
) -> None:
    config = replace(QUICK, variant="l2_sp", strength=math.inf)
    found = fine_tune(locked, pool, new, held_out, config)
    assert digest(found.dynamics.state_dict()) == digest(locked.state_dict())
    assert found.after == found.before


def test_a_stronger_l2_sp_moves_less(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions
) -> None:
    def moved(strength: float) -> float:
        config = replace(QUICK, variant="l2_sp", strength=strength)
        found = fine_tune(locked, pool, new, held_out, config).dynamics
        pairs = zip(found.parameters(), locked.parameters(), strict=True)
        return sum(float((a - b).detach().square().sum()) for a, b in pairs)

    weak, strong, stronger = (moved(strength) for strength in (0.0, 0.1, 10.0))
    assert weak > 2 * strong > 4 * stronger > 0


@pytest.mark.parametrize("structure", ["objects", "shared", "attention", "dense"])
def test_the_last_layer_alone_learns(
    build: Build, pool: Transitions, new: Transitions, held_out: Transitions, structure: str
) -> None:
    dynamics = build(structure=structure)
    found = fine_tune(dynamics, pool, new, held_out, replace(QUICK, variant="last_layer"))
    same = {
        name for (name, a), (_, b) in zip(found.dynamics.named_parameters(), dynamics.named_parameters(), strict=True)
        if torch.equal(a, b)
    }  # fmt: skip
    last = {name for name, _ in dynamics.named_parameters() if name.endswith(".2")}
    assert {name for name, _ in dynamics.named_parameters()} - same == last
    assert found.learned == sum(dict(dynamics.named_parameters())[name].numel() for name in last)


@pytest.mark.parametrize("structure", ["objects", "shared", "attention", "dense"])
def test_the_base_of_an_adapter_predicts_as_before_bit_for_bit(
    build: Build, pool: Transitions, new: Transitions, held_out: Transitions, structure: str
) -> None:
    dynamics = build(structure=structure)
    found = fine_tune(dynamics, pool, new, held_out, replace(QUICK, variant="adapter", units=4))
    assert found.after < found.before
    base = detach(found.dynamics, 4)
    assert digest(base.state_dict()) == digest(dynamics.state_dict())
    inputs = (x.expand(2, -1, -1) for x in (pool.obs, pool.actions))
    inputs = tuple(inputs)
    assert torch.equal(base(*inputs).mean, dynamics(*inputs).mean)
    assert not any(parameter._backward_hooks for parameter in found.dynamics.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_learns_leaves_the_given_model_alone_and_can_be_repeated(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions, variant: str
) -> None:
    before, config = digest(locked.state_dict()), replace(QUICK, variant=variant)
    found = fine_tune(locked, pool, new, held_out, config)
    again = fine_tune(locked, pool, new, held_out, config)
    assert found.after < found.before
    assert digest(found.dynamics.state_dict()) == digest(again.dynamics.state_dict())
    assert digest(locked.state_dict()) == before
    assert torch.equal(found.dynamics.normalizer.change, locked.normalizer.change)


def test_what_holds_the_old_weights_or_replays_old_data_forgets_less(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, held_out: Transitions, play: Play
) -> None:
    """In the new data the left slider does not move, as it did in the old ones."""
    known, error = play(6, 60, 9, (1.0, 0.0)), dict[str, float]()
    rescale(locked, new)
    for variant in ("all", "l2_sp", "ewc", "replay"):
        config = VariantConfig(variant, epochs=4, steps_per_epoch=40, batch=64)  # type: ignore[arg-type]
        found = fine_tune(locked, pool, new, held_out, config).dynamics
        error[variant] = unexplained(found, known, [LEFT])
        assert unexplained(found, held_out, [RIGHT]) < 0.95 * unexplained(locked, held_out, [RIGHT])
    assert unexplained(locked, known, [LEFT]) < error["replay"] < 0.7 * error["all"]
    assert max(error["l2_sp"], error["ewc"]) < error["all"]


def test_nothing_moves_leaves_all_unexplained(build: Build, pool: Transitions) -> None:
    still = build()
    with torch.no_grad():
        for layer in (still.weights[-1], still.biases[-1]):
            layer.zero_()
    assert unexplained(still, pool, [LEFT, RIGHT, 5]) == pytest.approx(1.0)  # the right one never moves
    assert math.isnan(unexplained(still, pool, [RIGHT]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variant": "al"}, "no variant 'al' here; there are all, last_layer"),
        ({"loss": "nll"}, "no loss 'nll'"),
        ({"variant": "ewc", "strength": -1.0}, "strength must be zero or more"),
        ({"variant": "ewc", "strength": math.nan}, "strength must be zero or more"),
        ({"replay": 1.0}, "replay must be between 0 and 1"),
        ({"units": 0}, "units must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, changes: dict[str, object], words: str
) -> None:
    config = VariantConfig()
    for name, value in changes.items():  # past the check of types that tests run under
        object.__setattr__(config, name, value)
    with pytest.raises(ModelError, match=words):
        fine_tune(locked, pool, new, new, config)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_transitions_of_another_world_are_refused(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions, bad: int
) -> None:
    elsewhere = Transitions(new.obs[:, :5], new.actions, new.next_obs[:, :5])
    for wrong, words in ((new[:0], "no transitions"), (elsewhere, "5 observation columns")):
        parts = [pool, new, new]
        parts[bad] = wrong
        with pytest.raises(ModelError, match=words):
            fine_tune(locked, *parts)


def test_a_model_of_which_nothing_may_learn_is_refused(
    locked: EnsembleDynamics, pool: Transitions, new: Transitions
) -> None:
    locked.requires_grad_(False)
    with pytest.raises(ModelError, match="none of its weights requires a gradient"):
        fine_tune(locked, pool, new, new)
