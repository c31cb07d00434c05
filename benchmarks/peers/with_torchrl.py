"""torchrl: its CEM and MPPI planners over a model-based environment.

The environment's observation holds all particles of a candidate, [particles, columns], and particle p
follows member p; the reward is their mean. So one step of the environment is one batched product per layer
for all candidates and particles, which is the cheapest way these planners allow. Unlike the others they begin
every search anew.
"""

import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.envs import ModelBasedEnvBase
from torchrl.modules import CEMPlanner, MPPIPlanner
from torchrl.modules.planners.common import MPCPlannerBase

from benchmarks.peers.batched import DTYPES, BatchedEnsemble
from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work

PACKAGE = "torchrl"


def entries(work: Work) -> list[Entry]:
    """Both planners in both precisions."""
    sizes = work.sizes
    budget = {
        "planning_horizon": sizes.horizon, "optim_steps": sizes.iterations,
        "num_candidates": sizes.candidates, "top_k": sizes.elites,
    }  # fmt: skip
    made = []
    for precision in DTYPES:
        network = BatchedEnsemble(work, precision)
        planners = {
            "cem": CEMPlanner(_Env(network, work), **budget),
            "mppi": MPPIPlanner(_Env(network, work), _Advantage(), temperature=2.0, **budget),
        }
        for search, planner in planners.items():
            decide = _Decisions(planner, sizes.particles)
            made.append(Entry(search, PACKAGE, precision, decide, network.predict))
    return made


class _Decisions:
    def __init__(self, planner: MPCPlannerBase, particles: int) -> None:
        self.planner, self.particles = planner, particles

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> Tensor:
        state = TensorDict({"observation": obs.expand(self.particles, -1)}, batch_size=[])
        return self.planner(state)["action"]


class _Env(ModelBasedEnvBase):
    def __init__(self, network: BatchedEnsemble, work: Work) -> None:
        keys = {"in_keys": ["observation", "action"], "out_keys": ["observation", "reward"]}
        super().__init__(TensorDictModule(_World(network, work), **keys))
        sizes = work.sizes
        obs = Unbounded((sizes.particles, sizes.obs))
        self.observation_spec = Composite(observation=obs)
        self.state_spec = Composite(observation=obs.clone())
        self.action_spec = Bounded(-1.0, 1.0, (sizes.action,))
        self.reward_spec = Unbounded((1,))

    def _reset(self, tensordict: TensorDictBase | None, **_: object) -> TensorDictBase:
        raise NotImplementedError("planning starts from a given observation")


class _World(nn.Module):
    """One step of all particles: observation [N P O] and action [N A] to observation and mean reward."""

    def __init__(self, network: BatchedEnsemble, work: Work) -> None:
        super().__init__()
        self.network, self.reward = network, work.reward

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        members = obs.transpose(0, 1)
        actions = action.expand(len(members), -1, -1)
        after = self.network(members, actions)
        return after.transpose(0, 1), self.reward(members, actions, after).mean(dim=0)[:, None]


class _Advantage(nn.Module):
    """The return of each candidate against the best one's.

    The planner weighs by exp(temperature * advantage) as it stands, which is zero for returns far below zero.
    An estimator with a value network, as in its documentation, would cost more and tell it nothing here.
    """

    def forward(self, rollout: TensorDictBase) -> TensorDictBase:
        returns = rollout["next", "reward"].sum(dim=-2, keepdim=True)
        return rollout.set("advantage", (returns - returns.max()).expand_as(rollout["next", "reward"]))
