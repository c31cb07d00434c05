"""Reward heads: fitted from labels, called like tasks, added without touching anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.basis import Atoms
from world_models.rewards.boxes import Box
from world_models.rewards.head import Head, Labels
from world_models.rewards.heads import RewardHeads
from world_models.rewards.quantities import Quantities
from world_models.rewards.residual import fit_residual
from world_models.transitions import Transitions


def label(data: Transitions, to: float, rows: int, column: int = 3) -> Labels:
    """Push a slider to a place, labelled as a task would."""
    some = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:rows]]
    gap = (some.next_obs[:, column] - to).abs() / 0.2
    first = 10 + 3 * (column - 3)
    reach = some.next_obs[:, first : first + 3].norm(dim=1)
    success = gap <= 0.1
    return Labels(some.obs, some.actions, some.next_obs, success.float() - reach - 3 * gap, success)


def tensors(head: Head) -> dict[str, Tensor]:
    """Every number of a head."""
    parts: list[Atoms | Box] = [head.atoms, head.boxes]
    found = {f"{type(part).__name__}.{name}": x for part in parts for name, x in vars(part).items()}
    for name, net in (("residual", head.residual), ("success_net", head.success_net)):
        found |= {f"{name}.{key}": x for key, x in net.state_dict().items()} if net else {}
    return found | {"weights": head.weights}


def rank(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


@pytest.mark.parametrize(("rows", "most"), [(100, 0.1), (1000, 0.03)])
def test_a_head_knows_reward_and_success_of_fresh_states(
    layout: Layout, train: Transitions, valid: Transitions, rows: int, most: float
) -> None:
    heads = RewardHeads(layout)
    heads.add("push", label(train, 0.03, rows))
    fresh = label(valid, 0.03, len(valid))
    found = heads.reward(fresh.obs, fresh.actions, fresh.next_obs)[:, 0]
    assert (found - fresh.reward).square().mean() / fresh.reward.var() < most
    assert torch.corrcoef(torch.stack([rank(found), rank(fresh.reward)]))[0, 1] > 0.95
    judged = heads.success(fresh.next_obs)[:, 0] > 0.5
    assert (judged != fresh.success).float().mean() < most


def test_calls_take_any_leading_dimensions_and_give_one_column_per_task(
    layout: Layout, train: Transitions
) -> None:
    heads = RewardHeads(layout)
    for name, to in (("a", 0.05), ("b", -0.05), ("c", 0.0)):
        heads.add(name, label(train, to, 200))
    some = train[slice(0, 24)]
    flat = heads.reward(some.obs, some.actions, some.next_obs)
    assert flat.shape == (24, 3) and heads.success(some.obs).shape == (24, 3)
    obs, action, after = (x.unflatten(0, (2, 3, 4)) for x in vars(some).values())
    torch.testing.assert_close(heads.reward(obs, action, after).flatten(0, 2), flat)
    assert heads.success(obs).shape == (2, 3, 4, 3)
    assert heads.reward(some.obs[0], some.actions[0], some.next_obs[0]).shape == (3,)
    assert bool(((heads.success(obs) >= 0) & (heads.success(obs) <= 1)).all())


def test_adding_a_head_leaves_dynamics_and_other_heads_alone(
    layout: Layout, train: Transitions, fitted: EnsembleDynamics
) -> None:
    heads = RewardHeads(layout)
    heads.add("left", label(train, 0.05, 1000))
    before, model = digest(tensors(heads.heads["left"])), digest(fitted.state_dict())
    random = torch.random.get_rng_state()
    heads.add("right", label(train, 0.05, 1000, column=4))
    heads.add("product", ring(train, 1000))
    assert digest(tensors(heads.heads["left"])) == before
    assert digest(fitted.state_dict()) == model
    assert torch.equal(torch.random.get_rng_state(), random)
    assert digest(tensors(heads.select(["right", "left"]).heads["left"])) == before


@pytest.mark.slow
def test_the_same_labels_give_the_same_head(layout: Layout, train: Transitions) -> None:
    one, other = (RewardHeads(layout).add("p", ring(train, 500)) for _ in range(2))
    assert digest(tensors(one)) == digest(tensors(other))


def test_select_keeps_the_order_and_refuses_unknown_names(layout: Layout, train: Transitions) -> None:
    heads = RewardHeads(layout)
    heads.add("near", label(train, 0.0, 100))
    heads.add("far", label(train, 0.08, 100))
    assert list(heads.select(["far", "near"]).heads) == ["far", "near"]
    with pytest.raises(ModelError, match="no reward head for 'fra'"):
        heads.select(["near", "fra"])


def ring(data: Transitions, rows: int) -> Labels:
    """A reward that no products of few quantities explain, and a success that no box explains."""
    plain = label(data, 0.0, rows)
    x, y, z = plain.next_obs[:, :3].T * 6
    waves = (1.5 * (x - y)).sin() * z.sin()
    return replace(plain, reward=waves, success=(x + y + z).sin() > 0.3)


def test_what_no_atoms_explain_is_left_to_a_network_and_it_helps(
    layout: Layout, train: Transitions, valid: Transitions
) -> None:
    heads, fresh = RewardHeads(layout), ring(valid, len(valid))
    simple = heads.add("few labels", ring(train, 400))
    rich = heads.add("many labels", ring(train, len(train)))
    assert simple.residual is None and simple.success_net is None
    assert rich.residual is not None and rich.success_net is not None
    assert rich.reward_error < 0.5 * simple.reward_error
    x = heads.reward(fresh.obs, fresh.actions, fresh.next_obs)
    errors = (x - fresh.reward[:, None]).square().mean(dim=0) / fresh.reward.var()
    assert errors[1] < 0.2 and errors[1] < 0.5 * errors[0]
    without = replace(rich, residual=None)
    plain = RewardHeads(layout, {"x": without}).reward(fresh.obs, fresh.actions, fresh.next_obs)[:, 0]
    assert errors[1] < 0.5 * (plain - fresh.reward).square().mean() / fresh.reward.var()
    wrong = ((heads.success(fresh.next_obs) > 0.5) != fresh.success[:, None]).float().mean(dim=0)
    assert wrong[1] < 0.5 * wrong[0]


def test_an_additive_reward_needs_no_network(layout: Layout, train: Transitions) -> None:
    head = RewardHeads(layout).add("push", label(train, 0.03, 1000))
    assert head.residual is None and head.reward_error < 0.02


def test_success_is_of_states_alone(layout: Layout, train: Transitions) -> None:
    """An action column that happens to tell successes apart must not become a side of the box."""
    plain = label(train, 0.03, 1000)
    actions = torch.where(plain.success[:, None], 0.9, -0.9).expand(-1, 3).clone()
    head = RewardHeads(layout).add("push", replace(plain, actions=actions))
    boxes, quantities = head.boxes, Quantities.of(layout)
    bound = boxes.quantity[(boxes.low > -torch.inf) | (boxes.high < torch.inf)].tolist()
    assert bound and not set(bound) & {*quantities.actions, *quantities.moves, *quantities.before}


def test_a_task_that_nothing_fulfilled(layout: Layout, train: Transitions) -> None:
    plain = label(train, 0.03, 600)
    never = replace(plain, success=torch.zeros(600, dtype=torch.bool))
    heads = RewardHeads(layout)
    head = heads.add("never", never)
    assert head.success_error == 0.0 and head.success_net is None
    assert float(heads.success(train.obs).max()) == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_labels_that_are_too_few_or_not_finite_are_refused(
    layout: Layout, train: Transitions, bad: float
) -> None:
    heads = RewardHeads(layout)
    with pytest.raises(ModelError, match=r"'push'.*at least 10"):
        heads.add("push", label(train, 0.0, 9))
    plain = label(train, 0.0, 100)
    plain.reward[3] = bad
    with pytest.raises(ModelError, match=r"'push'.*finite"):
        heads.add("push", plain)
    assert not heads.heads


def test_a_head_describes_itself(layout: Layout, train: Transitions) -> None:
    head = RewardHeads(layout).add("push", label(train, 0.03, 1000))
    lines = head.describe(layout)
    assert len(lines) == len(head.weights)
    assert any("of left" in line for line in lines) and any("distance to left" in line for line in lines)


def test_a_network_fits_values_and_log_odds(generator: torch.Generator) -> None:
    x = torch.rand(600, 3, generator=generator)
    y = x[:, 0] * x[:, 1]
    net = fit_residual(x, y, 0)
    assert (net(x) - y).square().mean() < 0.02 * y.var()
    assert not any(parameter.requires_grad for parameter in net.parameters())
    win = (y > 0.25).float()
    judge = fit_residual(x, win, 0, binary=True)
    assert ((judge(x) > 0) == (win > 0.5)).float().mean() > 0.97
