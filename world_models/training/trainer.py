"""Training loop: all members in one step, the best epoch of each is kept.

Used for the first fit and, with `keep_scales` and row weights, for fine-tuning.
"""

import hashlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.checkpoint.storage import digest
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.training.batches import Batch, BatchSource, Epoch, as_source, moving_weights
from world_models.training.config import (
    LONG_EPOCH,
    LearningRate,
    OneCycle,
    Schedule,
    TrainingConfig,
    check_config,
    check_ranks,
    training_dtype,
)
from world_models.training.distributed import SINGLE_PROCESS, MemberShard, ProcessGroup
from world_models.training.losses import JUDGES, Loss, MultiStepLoss, prediction_loss
from world_models.training.state import EpochReport, TrainingProgress, load_state, save_state
from world_models.transitions import Segments, Transitions, check_sizes
from world_models.uncertainty.forecast import relative_error

__all__ = ["EpochReport", "Segments", "TrainingConfig", "Transitions", "fit"]

FALLING = 0.65
"""Share of a one-cycle training after which the rate is below half its peak.

Before it, a held-out loss that stands still says nothing: the fall of the rate is what brings it down.
"""


def fit(
    dynamics: EnsembleDynamics,
    train: Transitions | BatchSource,
    valid: Transitions,
    config: TrainingConfig | None = None,
    seed: int = 0,
    *,
    segments: Segments | None = None,
    weights: Float[Tensor, " N"] | None = None,
    keep_scales: bool = False,
    state: str | os.PathLike[str] | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
) -> Iterator[EpochReport]:
    """Train in place, one epoch per report; with the last report the model is as it should be.

    Args:
        dynamics: a new ensemble, or a fitted one to go on with.
        train: what to learn from: transitions, moved to the device of the model, or another source of batches.
        valid: transitions of episodes of which `train` has none.
        config: how.
        seed: of shuffles and bootstrap samples.
        segments: stretches of the held-out episodes, as long as plans; they rank the members, and choose their
            epochs where `config.choose` says so. Without them the held-out loss does both.
        weights: how often each transition of `train` is drawn, see `replay_weights`; None for shuffles.
        keep_scales: leave the normaliser as it was fitted before, so that what the weights mean stays; and
            keep the members that no epoch improves. For fine-tuning.
        state: file that holds the training after each epoch. A rerun with the same arguments continues from
            it, and ends with the same bits; delete it when the model is saved.
        ranks: processes that share the members, each with the same arguments; the first one writes `state`, which
            all must see. Where `config.batch` is a multiple of 16, the model on a CPU is that of one process to
            the last bit.

    Returns:
        Reports of all epochs, those of an earlier, interrupted run first.

    Raises:
        ModelError: data of another world, a setting that makes no sense, a training that diverges, or a lost process.
    """
    config = config or TrainingConfig()
    check_config(config, dynamics)
    check_ranks(ranks, config, dynamics)
    for part in (valid,) if segments is None else (valid, segments):
        check_sizes(part, dynamics.layout)
    check_sizes(train if isinstance(train, Transitions) else train.sample(), dynamics.layout)
    device = dynamics.normalizer.change.device
    if config.moving:
        weights = _moving(train, weights, dynamics.layout, config.moving)
    source = as_source(train, weights, config.bootstrap, device)
    run = _Training(dynamics, source, valid, segments, config, seed, ranks)
    return run.reports(None if state is None else Path(state), keep_scales)


def _moving(
    train: Transitions | BatchSource, weights: Tensor | None, layout: Layout, share: float
) -> Float[Tensor, " N"]:
    if weights is not None or not isinstance(train, Transitions):
        raise ModelError("moving needs transitions in memory, and no other weights")
    return moving_weights(train, layout, share)


class _Training:
    """One training, from the first epoch to the choice of the elites."""

    def __init__(
        self,
        dynamics: EnsembleDynamics,
        train: BatchSource,
        valid: Transitions,
        segments: Segments | None,
        config: TrainingConfig,
        seed: int,
        ranks: ProcessGroup,
    ) -> None:
        device = dynamics.normalizer.change.device
        self.dynamics, self.config, self.seed = dynamics, config, seed
        self.train, self.valid = train, valid.to(device)
        self.segments = None if segments is None else segments.to(device)
        self.dtype = training_dtype(config.precision, device)
        self.steps = config.steps_per_epoch or max(1, min(LONG_EPOCH, len(train) // config.batch))
        self.cycle = OneCycle(config.learning_rate)
        self.ranks, self.own = ranks, ranks.own(dynamics.config.members)
        self.part = dynamics if ranks.size == 1 else MemberShard(dynamics, self.own)

    def reports(self, state: Path | None, keep_scales: bool) -> Iterator[EpochReport]:
        """Train to the end, reporting epoch by epoch."""
        fingerprint = self._fingerprint(keep_scales) if state else ""
        optimiser = make_optimiser(self.dynamics, self.config.weight_decay)
        found = load_state(state, fingerprint, self.dynamics, optimiser) if state else None
        progress = found or self._begin(keep_scales)
        self._check_agreed(float(len(progress.history)))
        ended = progress.ended
        if ended:
            self._finish(progress)
        yield from progress.history
        while not ended:
            ended = self._epoch(optimiser, progress)
            if state and self.ranks.first:
                save_state(state, fingerprint, self.dynamics, optimiser, progress)
            if ended:
                self._finish(progress)
            yield progress.history[-1]

    def _begin(self, keep_scales: bool) -> TrainingProgress:
        progress = TrainingProgress.start(self.dynamics)
        if keep_scales:  # a fitted member that no epoch improves stays as it is
            progress.best_loss = self._judged(self._held_out_loss(), self._rollout_error())
        else:
            sample = self.train.sample()
            self.dynamics.normalizer.fit(sample.obs, sample.next_obs)
        return progress

    def _epoch(self, optimiser: torch.optim.Optimizer, progress: TrainingProgress) -> bool:
        """Train, judge, and note how far it has come; whether that was the last epoch."""
        config, epoch, before = self.config, len(progress.history) + 1, progress.seconds
        began = time.monotonic()

        def schedule(step: int) -> LearningRate | None:
            share = self._share(progress.steps + step, before + time.monotonic() - began)
            return None if share >= 1 else self.cycle(share)

        losses = self._train(optimiser, epoch, schedule)
        valid = self._held_out_loss()
        train_loss, valid_loss = float(losses.mean()), float(valid.mean())
        if not math.isfinite(train_loss + valid_loss):
            raise ModelError(f"training diverged in epoch {epoch}: loss {train_loss}; lower learning_rate")
        error = self._rollout_error()
        progress.steps += self.steps
        progress.seconds = self._agreed(before + time.monotonic() - began)
        share = self._share(progress.steps, progress.seconds)
        better = progress.keep_better(self.dynamics, self._judged(valid, error))
        progress.stale = 0 if better or share < FALLING else progress.stale + 1
        progress.ended = share >= 1 or 0 < config.patience <= progress.stale
        mean_error = None if error is None else float(error.mean())
        report = EpochReport(epoch, config.epochs, train_loss, valid_loss, mean_error, progress.seconds)
        progress.history.append(report)
        return progress.ended

    def _train(self, optimiser: torch.optim.Optimizer, epoch: int, schedule: Schedule) -> Float[Tensor, " E"]:
        """Train the members of this process, and get those of the others with their moments."""
        losses = self.valid.obs.new_zeros(members := self.dynamics.config.members)
        batches = self.train.batches(self._asked(epoch))
        losses[self.own.start : self.own.stop] = train_steps(
            self.part, optimiser, batches, schedule, loss=self.config.loss, dtype=self.dtype
        )
        parameters = list(self.dynamics.parameters())
        moments = [optimiser.state[each][name] for each in parameters for name in ("exp_avg", "exp_avg_sq")]
        self.ranks.share(members, losses, *parameters, *moments)
        return losses

    def _agreed(self, number: float) -> float:
        """What the first process says."""
        if self.ranks.size == 1:
            return number
        return float(self.ranks.follow(self.valid.obs.new_tensor(number, dtype=torch.float64)))

    def _check_agreed(self, epochs: float) -> None:
        if self._agreed(epochs) != epochs:
            raise ModelError(
                "the processes found different epochs to go on from: put --out on a disk that all share"
            )

    def _share(self, steps: int, seconds: float) -> float:
        """How much of the training is over, from 0 to 1, by steps or by the clock."""
        done = steps / (self.steps * self.config.epochs)
        return max(done, seconds / self.config.seconds) if self.config.seconds else done

    def _asked(self, epoch: int) -> Epoch:
        members, config = self.dynamics.config.members, self.config
        return Epoch(self.seed, epoch, members, self.steps, config.batch, config.rollout_steps, self.own)

    def _judged(self, loss: Tensor, error: Tensor | None) -> Float[Tensor, " E"]:
        """By what each member's best epoch is chosen."""
        return loss if error is None or self.config.choose == "loss" else error

    def _held_out_loss(self) -> Float[Tensor, " E"]:
        return held_out_loss(self.dynamics, self.valid, JUDGES[self.config.loss], self.ranks)

    def _rollout_error(self) -> Float[Tensor, " E"] | None:
        if self.segments is None:
            return None
        return self.ranks.follow(relative_error(self.dynamics, self.segments, self.seed))

    def _finish(self, progress: TrainingProgress) -> None:
        """Each member's best epoch; the best members first among the elites."""
        progress.restore_best(self.dynamics)
        error = self._rollout_error()
        order = torch.argsort(progress.best_loss if error is None else error, stable=True)
        self.dynamics.elites = order[: self.config.elites]

    def _fingerprint(self, keep_scales: bool) -> str:
        """What the result depends on: another one, and a saved training is not this training."""
        model = self.dynamics
        parts = [model.config, model.layout, digest(model.state_dict()), torch.__version__]
        parts += [self.config, self.seed, keep_scales, self.train.digest()]
        parts += [None if data is None else digest(vars(data)) for data in (self.valid, self.segments)]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


CHUNK = 512
"""Rows judged at once: few enough to stay in the cache of a core, which makes it twice as fast as 4096."""


def make_optimiser(dynamics: EnsembleDynamics, weight_decay: float = 0.0) -> torch.optim.AdamW:
    """Adam on all members at once, with decoupled weight decay (Loshchilov and Hutter 2019).

    `train_steps` sets its rate.
    """
    return torch.optim.AdamW(dynamics.parameters(), weight_decay=weight_decay, fused=True)


def train_steps(
    dynamics: EnsembleDynamics | MemberShard,
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
        batches: see `source.BatchSource`; on the device of the model.
        schedule: the rate of each step of this call.
        loss: see `prediction_loss`.
        dtype: of the products; weights, moments and losses are float32 whatever it is.

    Returns:
        The mean loss of each member over the steps done, still on the device: nothing waits for it.
        Zero where `schedule` ended training at once.
    """
    total, steps = dynamics.normalizer.change.new_zeros(dynamics.config.members), 0
    unrolled = MultiStepLoss(dynamics, loss, dtype)
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


def _set_rate(optimiser: torch.optim.Optimizer, rate: LearningRate) -> None:
    for group in optimiser.param_groups:
        group["lr"], group["betas"] = rate.learning_rate, (rate.momentum, group["betas"][1])


@torch.no_grad()
def held_out_loss(
    dynamics: EnsembleDynamics, data: Transitions, loss: Loss, ranks: ProcessGroup = SINGLE_PROCESS
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
