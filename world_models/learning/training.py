"""The steps of training, for a first fit and for fine-tuning alike."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.ensemble import EnsembleDynamics
from world_models.learning.losses import Loss, prediction_loss
from world_models.learning.ranks import ALONE, Ranks
from world_models.learning.schedule import Rate, Schedule
from world_models.learning.share import Share
from world_models.learning.source import Batch
from world_models.learning.unroll import UnrolledLoss
from world_models.transitions import Transitions

CHUNK = 512
"""Rows judged at once: few enough to stay in the cache of a core, which makes it twice as fast as 4096."""


def make_optimiser(dynamics: EnsembleDynamics, weight_decay: float = 0.0) -> torch.optim.AdamW:
    """Adam on all members at once, with decoupled weight decay (Loshchilov and Hutter 2019).

    `train_steps` sets its rate.
    """
    return torch.optim.AdamW(dynamics.parameters(), weight_decay=weight_decay, fused=True)


def train_steps(
    dynamics: EnsembleDynamics | Share,
    optimiser: torch.optim.Optimizer,
    batches: Iterable[Batch],
    schedule: Schedule,
    *,
    loss: Loss = "huber",
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, " E"]:
    """One update per batch, each member on its own rows; the scales of the model stay as they are.

    Args:
        dynamics: trained in place; of a share, the members that it has.
        optimiser: from `make_optimiser`; keeps its moments from call to call.
        batches: see `source.Source`; on the device of the model.
        schedule: the rate of each step of this call.
        loss: see `prediction_loss`.
        dtype: of the products; weights, moments and losses are float32 whatever it is.

    Returns:
        The mean loss of each member over the steps done, still on the device: nothing waits for it.
        Zero where `schedule` ended training at once.
    """
    total, steps = dynamics.normalizer.change.new_zeros(dynamics.config.members), 0
    unrolled = UnrolledLoss(dynamics, loss, dtype)
    for step, batch in enumerate(batches):
        rate = schedule(step)
        if rate is None:
            break
        _set_rate(optimiser, rate)
        each = unrolled(batch)
        optimiser.zero_grad(set_to_none=True)
        each.sum().backward()
        optimiser.step()
        total, steps = total + each.detach(), steps + 1
    return total / max(steps, 1)


def _set_rate(optimiser: torch.optim.Optimizer, rate: Rate) -> None:
    for group in optimiser.param_groups:
        group["lr"], group["betas"] = rate.learning_rate, (rate.momentum, group["betas"][1])


@torch.no_grad()
def held_out_loss(
    dynamics: EnsembleDynamics, data: Transitions, loss: Loss, ranks: Ranks = ALONE
) -> Float[Tensor, " E"]:
    """Mean loss of each member on the same transitions, without learning from them; each process judges some rows."""
    members, gaussian = dynamics.config.members, dynamics.config.head == "gaussian"
    chunks = -(-len(data) // CHUNK)
    sums = dynamics.normalizer.change.new_zeros(chunks, members)
    for chunk in ranks.own(chunks):
        part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        columns = (data.obs, data.actions, data.next_obs)
        obs, actions, next_obs = (x[part].expand(members, -1, -1) for x in columns)
        target = (next_obs - obs) / dynamics.normalizer.change
        sums[chunk] = prediction_loss(dynamics(obs, actions), target, loss, gaussian) * obs.shape[1]
    ranks.share(chunks, sums)
    total = sums.new_zeros(members)
    for each in sums:  # one by one: as a single sum it would be rounded otherwise
        total += each
    return total / len(data)
