"""Successor features against closed forms on small Markov decision processes, and in the kitchen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.controller import Controller
from mbtransfer.transfer.method import Sources
from mbtransfer.transfer.value.gpi import SuccessorTransfer, SuccessorValue, TransitionFeatures, action_set
from mbtransfer.transfer.value.successor_features import (
    GPIPolicy,
    SuccessorConfig,
    SuccessorFeatures,
    learn,
    reward_weights,
)
from planners.base import Bounds
from world_models.transitions import Transitions

DISCOUNT = 0.6
LEARNING = SuccessorConfig(updates=200, rows=60, rate=0.1, follow=0.5)
TINY = SuccessorConfig(updates=5, rows=32, actions=8, width=16)


class Table(nn.Module):
    """A column for each pair of state and action, both one-hot."""

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        return (obs[..., :, None] * action[..., None, :]).flatten(-2)


class Tabular:
    """A Markov decision process with states and actions as one-hot vectors.

    Args:
        step: [S A S], probability of each next state.
        phi: [S A F], features.
    """

    def __init__(self, step: Tensor, phi: Tensor) -> None:
        self.step, self.phi = step, phi
        self.states, self.actions = torch.eye(step.shape[0]), torch.eye(step.shape[1])

    def features(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        return torch.einsum("...s,...a,saf->...f", obs, action, self.phi)

    def net(self, tasks: Tensor, discount: float = DISCOUNT) -> SuccessorFeatures:
        width = self.phi.shape[0] * self.phi.shape[1]
        return SuccessorFeatures(self.features, Table(), width, self.actions, tasks, discount)

    def solved(self, policies: Tensor, tasks: Tensor, discount: float = DISCOUNT) -> SuccessorFeatures:
        """The net with the exact psi of policies [P S]."""
        net = self.net(tasks, discount)
        exact = torch.stack([self.psi(policy, discount).flatten(0, 1) for policy in policies])
        net.head.data = (1 - discount) * exact
        return net

    def psi(self, policy: Tensor, discount: float = DISCOUNT) -> Tensor:
        """(I - discount P)^-1 phi of pairs of state and action, [S A F]."""
        states, actions, features = self.phi.shape
        follow = torch.zeros(states * actions, states, actions)
        follow[:, torch.arange(states), policy] = self.step.flatten(0, 1)
        inverse = torch.linalg.inv(torch.eye(states * actions) - discount * follow.flatten(1))
        return (inverse @ self.phi.flatten(0, 1)).view(states, actions, features)

    def value(self, policy: Tensor, weights: Tensor, discount: float = DISCOUNT) -> Tensor:
        """The value of each state, [S]."""
        return (self.psi(policy, discount) @ weights).gather(1, policy[:, None])[:, 0]

    def best(self, weights: Tensor, discount: float = DISCOUNT) -> Tensor:
        """An optimal policy, by policy iteration."""
        policy = torch.zeros(len(self.phi), dtype=torch.long)
        for _ in range(20):
            policy = (self.psi(policy, discount) @ weights).argmax(dim=1)
        return policy

    def acts(self, gpi: GPIPolicy) -> Tensor:
        """The policy of GPI, [S]."""
        return gpi.policy(self.states).argmax(dim=1)


def random_mdp(seed: int, states: int = 5, actions: int = 3, features: int = 3, ways: int = 4) -> Tabular:
    """From each state and action to at most so many next states."""
    generator = torch.Generator().manual_seed(seed)
    ahead = torch.randint(states, (states, actions, ways), generator=generator)
    step = nn.functional.one_hot(ahead, states).float().mean(dim=2)
    return Tabular(step, torch.rand(states, actions, features, generator=generator))


def every_transition(mdp: Tabular) -> Transitions:
    """Each possible transition, in proportion to its probability."""
    state, action, ahead = (4 * mdp.step).nonzero(as_tuple=True)
    times = (4 * mdp.step[state, action, ahead]).round().long()
    state, action, ahead = (part.repeat_interleave(times) for part in (state, action, ahead))
    return Transitions(mdp.states[state], mdp.actions[action], mdp.states[ahead])


@pytest.mark.parametrize(("ways", "rows", "error"), [(1, 60, 5e-3), (4, 240, 0.1)], ids=["certain", "random"])
def test_what_is_learned_is_the_closed_form_of_the_best_policies(
    ways: int, rows: int, error: float, generator: torch.Generator
) -> None:
    mdp = random_mdp(0, ways=ways)
    tasks = torch.eye(3)[:2]
    net = mdp.net(tasks)
    learn(net, every_transition(mdp), replace(LEARNING, rows=rows), generator)
    policies = net.chosen(mdp.states).T
    pairs = net(mdp.states[:, None].expand(-1, 3, -1), mdp.actions.expand(5, -1, -1)) / (1 - DISCOUNT)
    for k, policy in enumerate(policies):
        torch.testing.assert_close(pairs[:, :, k].detach(), mdp.psi(policy), atol=error, rtol=0.0)
        best = mdp.value(mdp.best(tasks[k]), tasks[k])
        torch.testing.assert_close(mdp.value(policy, tasks[k]), best, atol=1e-3, rtol=0.0)


def test_a_world_model_replaces_observed_transitions(generator: torch.Generator) -> None:
    mdp = random_mdp(1, ways=1)  # as the model below
    pool = Transitions(
        mdp.states, mdp.actions[torch.zeros(5, dtype=torch.long)], mdp.states[mdp.step[:, 0].argmax(1)]
    )

    def step(obs: Tensor, action: Tensor) -> Tensor:
        return torch.einsum("rs,ra,sax->rx", obs, action, mdp.step)

    tasks = torch.eye(3)
    net = mdp.net(tasks)
    learn(net, pool, LEARNING, generator, step)
    for k, policy in enumerate(net.chosen(mdp.states).T):
        best = mdp.value(mdp.best(tasks[k]), tasks[k])
        torch.testing.assert_close(mdp.value(policy, tasks[k]), best, atol=1e-3, rtol=0.0)


def test_the_weights_of_a_new_combination_are_found_exactly(generator: torch.Generator) -> None:
    mdp = random_mdp(2)
    known, new = torch.eye(3), torch.tensor([0.5, -2.0, 1.5])
    labelled = every_transition(mdp)
    phi = mdp.features(labelled.obs, labelled.actions, labelled.next_obs)
    found = reward_weights(phi, phi @ new, ridge=0.0)
    torch.testing.assert_close(found, new, atol=1e-4, rtol=0.0)
    net = mdp.solved(torch.stack([mdp.best(w) for w in known]), known)
    value = torch.stack([mdp.psi(mdp.best(w)) @ new for w in known]).amax(dim=0)
    torch.testing.assert_close(GPIPolicy(net, found).action_values(mdp.states), value, atol=1e-3, rtol=1e-3)


def test_weights_stay_small_where_features_say_the_same(generator: torch.Generator) -> None:
    x = torch.rand(100, 1, generator=generator)
    phi = torch.cat([x, x + 1e-4 * torch.rand(100, 1, generator=generator)], dim=1)
    reward = x[:, 0] + 0.01 * torch.randn(100, generator=generator)
    assert float(reward_weights(phi, reward).norm()) < 1.0 < float(reward_weights(phi, reward, 1e-12).norm())


def test_labels_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="not finite"):
        reward_weights(torch.ones(3, 1), torch.tensor([0.0, torch.nan, 1.0]))


def test_gpi_is_never_below_the_best_source_policy() -> None:
    higher = 0
    for seed in range(30):
        mdp = random_mdp(seed)
        tasks = torch.eye(3)
        policies = torch.stack([mdp.best(w) for w in tasks])
        new = torch.randn(3, generator=torch.Generator().manual_seed(seed))
        ours = mdp.value(mdp.acts(GPIPolicy(mdp.solved(policies, tasks), new)), new)
        source = torch.stack([mdp.value(policy, new) for policy in policies]).amax(dim=0)
        assert bool((ours >= source - 1e-4).all())
        higher += bool((ours > source + 1e-2).any())
    assert higher > 0


LEFT, RIGHT = 0, 1


def three_rooms() -> Tabular:
    """Rooms A, B, C in a row. Going from A to B earns the first feature, each step in C the second."""
    step, phi = torch.zeros(3, 2, 3), torch.zeros(3, 2, 2)
    for room in range(3):
        step[room, LEFT, max(room - 1, 0)] = step[room, RIGHT, min(room + 1, 2)] = 1.0
    phi[0, RIGHT, 0] = phi[2, RIGHT, 1] = 1.0
    return Tabular(step, phi)


def test_gpi_is_better_than_each_source_policy_in_three_rooms() -> None:
    rooms, new = three_rooms(), torch.tensor([1.0, 1.0])
    tasks = torch.tensor([[1.0, 0.0], [-20.0, 1.0]])
    to_and_fro, stay_away = policies = torch.stack([rooms.best(w, 0.9) for w in tasks])
    assert to_and_fro.tolist() == [RIGHT, LEFT, LEFT] and stay_away.tolist() == [LEFT, RIGHT, RIGHT]
    gpi = GPIPolicy(rooms.solved(policies, tasks, 0.9), new)
    assert rooms.acts(gpi).tolist() == [RIGHT, RIGHT, RIGHT]
    ours = rooms.value(rooms.acts(gpi), new, 0.9)
    torch.testing.assert_close(ours, torch.tensor([9.1, 9.0, 10.0]))
    source = [rooms.value(policy, new, 0.9) for policy in policies]
    assert all(float(ours.mean()) > float(value.mean()) for value in source)
    torch.testing.assert_close(torch.stack(source)[:, 0], torch.tensor([1 / (1 - 0.81), 0.0]))
    torch.testing.assert_close(gpi.value(rooms.states), ours)


def test_actions_fill_the_box() -> None:
    bounds = Bounds(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 4.0]))
    actions = action_set(bounds, 32, seed=0)
    assert torch.equal(actions[0], bounds.middle)
    assert bool(((actions >= bounds.low) & (actions <= bounds.high)).all())
    assert len(actions.unique(dim=0)) > 16 and len({tuple(x) for x in actions[1:17].tolist()}) == 4


def some_sources(model: Model) -> Sources:
    return Sources(
        model, (model.environment.task("drawer_open"), model.environment.task("drawer_close")), 300, 0
    )


def test_rewards_of_held_out_tasks_are_nearly_linear_in_the_features(fitted: Model) -> None:
    features = TransitionFeatures(fitted.dynamics.layout)
    known = fitted.label(fitted.environment.task("drawer_half"), len(fitted.pool))
    phi = features(known.obs, known.actions, known.next_obs)
    weights = reward_weights(phi[:-500], known.reward[:-500])
    left = known.reward[-500:] - phi[-500:] @ weights
    assert float(left.var()) < 0.05 * float(known.reward.var())


def test_a_target_is_solved_by_its_labels_alone(fitted: Model) -> None:
    method, sources = SuccessorTransfer(training=TINY), some_sources(fitted)
    carried, obs = method.pretrain(sources), fitted.pool.obs[:20]
    action = fitted.pool.actions[:20]
    torch.testing.assert_close(
        method.pretrain(sources).successors(obs, action), carried.successors(obs, action)
    )
    before = [p.clone() for p in carried.successors.parameters()]
    solution = method.solve(carried, fitted.environment.task("drawer_half"))
    assert all(map(torch.equal, before, carried.successors.parameters()))
    assert solution.costs.labels == 900 and solution.costs.steps == 0
    assert not isinstance(solution.acts, Controller) and solution.acts(obs).shape == (20, 4)


def test_the_value_of_gpi_ends_the_plans(fitted: Model) -> None:
    method = SuccessorValue(training=TINY, horizon=3)
    target = fitted.environment.task("drawer_half")
    carried = method.pretrain(some_sources(fitted))
    controller = method.solve(carried, target).acts
    assert isinstance(controller, Controller) and controller.settings["horizon"] == 3
    estimator = controller.dynamics.estimator
    assert estimator.discount == TINY.discount and estimator.value is not None
    obs = fitted.pool.obs[:20]
    assert torch.equal(estimator.value(obs), carried.improved(target).value(obs))


def test_no_source_tasks_are_refused(fitted: Model) -> None:
    with pytest.raises(UserError, match="at least one source task"):
        SuccessorTransfer(training=TINY).pretrain(Sources(fitted, (), 300, 0))
