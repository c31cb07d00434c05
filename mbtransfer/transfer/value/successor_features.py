"""Successor features and generalised policy improvement (GPI).

Rewards are taken as linear in features of transitions, r = phi(s, a, s') w (Barreto et al. 2017, "Successor features
for transfer in reinforcement learning", section 3, eq. 2). psi_i(s, a) is the discounted sum of the features to come
if source task i's policy follows, so that psi_i(s, a) w is that policy's value in any task (eq. 3); it obeys a Bellman
equation with features for rewards (eq. 4). A new task needs its w alone, by regression on labelled transitions, and
one acts by the best of all policies (section 4, theorem 1). Network, and greedy policies that are learned together
with their psi: Barreto et al. 2018, "Transfer in deep reinforcement learning using successor features and generalised
policy improvement", section 4.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mbtransfer.errors import UserError
from world_models.transitions import Transitions

Features = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Maps obs [*b O], action [*b A] and next_obs [*b O] to features [*b F]; all tasks share them."""

Step = Callable[[Tensor, Tensor], Tensor]
"""Maps obs [R O] and action [R A] to next_obs [R O]."""


def reward_weights(
    phi: Float[Tensor, "N F"], reward: Float[Tensor, " N"], ridge: float = 1e-4
) -> Float[Tensor, " F"]:
    """The weights w with which phi w comes closest to the rewards, by ridge regression.

    Args:
        phi: features of labelled transitions.
        reward: their rewards.
        ridge: penalty of the squared weights per label, as a share of the features' mean square. Where features are
            nearly dependent it keeps weights small, which would multiply the errors of psi.

    Raises:
        UserError: a feature or a reward is not finite.
    """
    if not (bool(phi.isfinite().all()) and bool(reward.isfinite().all())):
        raise UserError("a feature or a reward label is not finite; correct the labels")
    x, y = phi.double(), reward.double()
    gram = x.T @ x
    penalty = ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype, device=x.device)
    return torch.linalg.solve(gram + penalty, x.T @ y).to(phi.dtype)


class SuccessorFeatures(nn.Module):
    """psi of P policies, each greedy for its own task among N fixed actions.

    Everything is times 1 - discount: a weighted mean of the features to come instead of their sum, in their own units.
    The network adds to the features of staying where one is, phi(s, 0, s), so that it need not learn what these are.

    Args:
        features: phi.
        trunk: maps obs [*b O] and action [*b A] to D columns, in which psi is linear.
        width: D.
        actions: what the policies choose from.
        tasks: weights of the task of each policy.
        discount: discount factor per control step.
    """

    actions: Float[Tensor, "N A"]
    tasks: Float[Tensor, "P F"]

    def __init__(
        self, features: Features, trunk: nn.Module, width: int, actions: Float[Tensor, "N A"],
        tasks: Float[Tensor, "P F"], discount: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.features, self.trunk, self.discount = features, trunk, discount
        self.register_buffer("actions", actions)
        self.register_buffer("tasks", tasks)
        self.head = nn.Parameter(torch.zeros(len(tasks), width, tasks.shape[1], device=tasks.device))

    def forward(self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"]) -> Float[Tensor, "*b P F"]:
        """Psi of each policy for given actions."""
        ahead = torch.einsum("...d,pdf->...pf", self.trunk(obs, action), self.head)
        return ahead + self._staying(obs)[..., None, :]

    def values(self, obs: Float[Tensor, "*b O"], weights: Float[Tensor, "P F"]) -> Float[Tensor, "*b N P"]:
        """Psi w of each action and policy, with a row of weights for each policy."""
        ahead = self._columns(obs) @ torch.einsum("pdf,pf->dp", self.head, weights)
        return ahead + (self._staying(obs) @ weights.T)[..., None, :]

    def chosen(self, obs: Float[Tensor, "*b O"]) -> Int[Tensor, "*b P"]:
        """Number of the action that each policy takes."""
        return self.values(obs, self.tasks).argmax(dim=-2)

    def greedy(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b P F"]:
        """Psi of each policy at the action that it takes."""
        columns = self._columns(obs)
        best = (columns @ torch.einsum("pdf,pf->dp", self.head, self.tasks)).argmax(dim=-2)
        taken = columns.gather(-2, best[..., None].expand(*best.shape, columns.shape[-1]))
        return torch.einsum("...pd,pdf->...pf", taken, self.head) + self._staying(obs)[..., None, :]

    def _columns(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b N D"]:
        return self.trunk(obs[..., None, :], self.actions)

    def _staying(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b F"]:
        return self.features(obs, obs.new_zeros(*obs.shape[:-1], self.actions.shape[1]), obs)


@dataclass(frozen=True, eq=False)
class GPIPolicy:
    """Generalised policy improvement in one task: no learning step, only its weights.

    Attributes:
        source: psi of the source tasks' policies.
        weights: the task's w.
    """

    source: SuccessorFeatures
    weights: Float[Tensor, " F"]

    @torch.no_grad()
    def action_values(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b N"]:
        """Discounted return of each action and then the best source policy, max_i psi_i(s, a) w."""
        weights = self.weights.expand(len(self.source.tasks), -1)
        return self.source.values(obs, weights).amax(dim=-1) / (1 - self.source.discount)

    def policy(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b A"]:
        """The best action (2017, theorem 1)."""
        return self.source.actions[self.action_values(obs).argmax(dim=-1)]

    def value(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """Its discounted return: the `value` of a `ReturnEstimator` with the same discount."""
        return self.action_values(obs).amax(dim=-1)


@dataclass(frozen=True)
class SuccessorConfig:
    """Settings of the training.

    Attributes:
        discount: discount factor per control step.
        updates: number of updates.
        rows: transitions per update.
        imagined: share of them that the source policies make in the world model; the others are the pool's.
        fresh: share of the imagined roll-outs that begin anew from the pool at each step.
        explore: share of their actions that are random.
        actions: number of actions that policies choose from.
        width: units of each hidden layer.
        rate: highest learning rate.
        follow: rate at which the target copy follows per update.
        value_loss: weight of the error of each policy's value in its own task, beside that of its psi.
    """

    discount: float = 0.95
    updates: int = 1500
    rows: int = 256
    imagined: float = 0.75
    fresh: float = 0.05
    explore: float = 0.3
    actions: int = 32
    width: int = 128
    rate: float = 3e-3
    follow: float = 0.02
    value_loss: float = 30.0


class Trunk(nn.Module):
    """Two hidden layers on normalised observations and on actions.

    Args:
        pool: transitions to which the normalisation is fitted.
        width: units of each layer.
        generator: draws the first weights.
    """

    centre: Float[Tensor, " O"]
    scale: Float[Tensor, " O"]

    def __init__(self, pool: Transitions, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("centre", pool.obs.mean(dim=0))
        self.register_buffer("scale", pool.obs.std(dim=0).clamp(min=1e-3))
        with torch.random.fork_rng(devices=[]):
            self.of_obs, self.of_action = (
                nn.Linear(x.shape[1], width, device=x.device) for x in (pool.obs, pool.actions)
            )
            self.norm = nn.LayerNorm(width, device=pool.obs.device)
            self.second = nn.Linear(width, width, device=pool.obs.device)
        for layer in (self.of_obs, self.of_action, self.second):
            nn.init.orthogonal_(layer.weight, 2**0.5, generator)
            nn.init.zeros_(layer.bias)

    def forward(self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "... A"]) -> Float[Tensor, "... D"]:
        """The columns; the first layer's share of a state is computed once for all of its actions."""
        x = ((obs - self.centre) / self.scale).clamp(-10.0, 10.0)
        return torch.relu(self.second(torch.relu(self.norm(self.of_obs(x) + self.of_action(action)))))


def learn(
    net: SuccessorFeatures, pool: Transitions, config: SuccessorConfig, generator: torch.Generator,
    step: Step | None = None,
) -> None:  # fmt: skip
    """Fit psi by temporal differences: psi_i(s, a) = phi + discount psi_i(s', pi_i(s')), with pi_i greedy.

    Args:
        net: what to fit.
        pool: observed transitions.
        config: settings of the training.
        generator: draws transitions.
        step: the world model; None to learn from the pool alone.
    """
    target = copy.deepcopy(net).requires_grad_(False)
    observed = net.features(pool.obs, pool.actions, pool.next_obs)
    low, high, scale = observed.amin(dim=0), observed.amax(dim=0), observed.std(dim=0).clamp(min=1e-2)
    imagined = round(config.imagined * config.rows) if step else 0
    streams = _Imagined(net, pool.obs, imagined, config, generator, step) if step else None
    optimiser = torch.optim.Adam(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=config.updates)
    for _ in range(config.updates):
        batch = pool[_drawn(len(pool), config.rows - imagined, generator)]
        if streams:
            batch = Transitions.join([batch, streams.advance()])
        with torch.no_grad():
            phi = net.features(batch.obs, batch.actions, batch.next_obs)
            beyond = target.greedy(batch.next_obs).clamp(low, high)  # a mean of features is in their range
            aim = (1 - net.discount) * phi[:, None] + net.discount * beyond
        error = net(batch.obs, batch.actions) - aim
        value_error = torch.einsum("bpf,pf->bp", error, net.tasks)
        loss = (error / scale).square().mean() + config.value_loss * value_error.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        for slow, fast in zip(target.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast.detach(), config.follow)


class _Imagined:
    """Roll-outs of the source policies in the world model, one step per update."""

    def __init__(
        self, net: SuccessorFeatures, starts: Float[Tensor, "N O"], count: int, config: SuccessorConfig,
        generator: torch.Generator, step: Step,
    ) -> None:  # fmt: skip
        self._net, self._starts, self._config = net, starts, config
        self._generator, self._step = generator, step
        self._obs = starts[_drawn(len(starts), count, generator)]
        self._policy = _drawn(len(net.tasks), count, generator)

    @torch.no_grad()
    def advance(self) -> Transitions:
        """The next transition of each roll-out."""
        net, obs, count = self._net, self._obs, len(self._obs)
        choice = net.chosen(obs).gather(1, self._policy[:, None])[:, 0]
        random = _drawn(len(net.actions), count, self._generator)
        action = net.actions[torch.where(self._few(self._config.explore), random, choice)]
        ahead = self._step(obs, action)
        sound = ahead.isfinite().all(dim=1, keepdim=True)
        ahead = torch.where(sound, ahead, obs)
        anew = self._few(self._config.fresh) | ~sound[:, 0]
        begun = self._starts[_drawn(len(self._starts), count, self._generator)]
        self._obs = torch.where(anew[:, None], begun, ahead)
        self._policy = torch.where(anew, _drawn(len(net.tasks), count, self._generator), self._policy)
        return Transitions(obs, action, ahead)

    def _few(self, share: float) -> Bool[Tensor, " R"]:
        draw = torch.rand(len(self._obs), generator=self._generator, device=self._obs.device)
        return draw < share


def _drawn(below: int, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    return torch.randint(below, (count,), generator=generator, device=generator.device)
