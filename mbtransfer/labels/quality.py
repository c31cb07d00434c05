"""How well a reward head fitted on labels does on transitions that it has not seen."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.layout import Layout
from world_models.rewards.head import Labels
from world_models.rewards.heads import RewardHeads

FOLDS = 5

MEASURABLE = 20
"""Labels from which on errors are measured: a head needs 10, and a fifth may be held out."""


@dataclass(frozen=True)
class HeadErrors:
    """Errors of a head on held-out labels.

    Attributes:
        rank_error: share of pairs of transitions that the head puts in the wrong order of reward: half of them by
            chance, NaN where all rewards are equal.
        success_error: share of states whose success the head gets wrong.
    """

    rank_error: float
    success_error: float


def held_out_errors(layout: Layout, labels: Labels, held_out: Labels) -> HeadErrors:
    """Errors of a head fitted on `labels`, on other labels.

    Raises:
        ModelError: fewer than 10 labels.
    """
    heads = RewardHeads(layout)
    heads.add("task", labels)
    reward = heads.reward(held_out.obs, held_out.actions, held_out.next_obs)[:, 0]
    success = heads.success(held_out.next_obs)[:, 0] > 0.5
    wrong = (success != held_out.success).float().mean()
    return HeadErrors(rank_error(held_out.reward, reward), float(wrong))


def cross_validated_errors(layout: Layout, labels: Labels) -> HeadErrors:
    """Mean errors where a fifth of the labels at a time is held out.

    Raises:
        ModelError: too few labels, fewer than `MEASURABLE`.
    """
    fold = torch.arange(len(labels.reward)) % FOLDS
    found = [
        held_out_errors(layout, subset(labels, fold != k), subset(labels, fold == k)) for k in range(FOLDS)
    ]
    rank, success = (
        torch.tensor([getattr(one, name) for one in found]) for name in ("rank_error", "success_error")
    )
    return HeadErrors(float(rank.nanmean()), float(success.mean()))


def subset(labels: Labels, rows: Tensor) -> Labels:
    """Some of the labels, chosen by a mask or an index."""
    return Labels(*(part[rows] for part in vars(labels).values()))


def rank_error(true: Float[Tensor, " N"], predicted: Float[Tensor, " N"]) -> float:
    """Share of pairs of different true values that are predicted in the wrong order; predicted ties count half."""
    above = true[:, None] > true
    wrong = 0.5 - 0.5 * (predicted[:, None] - predicted).sign()
    return float(wrong[above].mean())
