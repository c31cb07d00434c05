"""pytorch_mppi: its MPPI over a hand-written ensemble, rolling each candidate out once per particle.

One command is one iteration. A decision is one command that shifts the plan and then commands that refine
it, so that it takes as many model steps as the others' decisions. Noise and temperature, which it leaves to
the user, are those that made the best plans here.
"""

import torch
from pytorch_mppi import MPPI
from torch import Tensor

from benchmarks.peers.batched import DTYPES, BatchedEnsemble
from benchmarks.peers.entry import Entry
from benchmarks.peers.work import Work

PACKAGE = "pytorch-mppi"


def entries(work: Work) -> list[Entry]:
    """Its MPPI in both precisions."""
    return [_entry(work, precision) for precision in DTYPES]


def _entry(work: Work, precision: str) -> Entry:
    sizes, network = work.sizes, BatchedEnsemble(work, precision)

    def dynamics(obs: Tensor, action: Tensor) -> Tensor:
        # Its rows are ordered by particle first, as the network wants them.
        by_member = (sizes.particles, sizes.candidates, -1)
        return network(obs.view(by_member), action.reshape(by_member)).flatten(0, 1)

    def cost(obs: Tensor, action: Tensor) -> Tensor:
        return -work.reward(obs, action, obs)

    bound = torch.ones(sizes.action)
    planner = MPPI(
        dynamics, cost, sizes.obs, num_samples=sizes.candidates, horizon=sizes.horizon,
        rollout_samples=sizes.particles, noise_sigma=0.25 * torch.eye(sizes.action), lambda_=0.1,
        u_min=-bound, u_max=bound, U_init=torch.zeros(sizes.horizon, sizes.action),
    )  # fmt: skip

    @torch.no_grad()
    def decide(obs: Tensor) -> Tensor:
        for iteration in range(sizes.iterations):
            action = planner.command(obs, shift_nominal_trajectory=iteration == 0)
        return action

    return Entry("mppi", PACKAGE, precision, decide, network.predict)
