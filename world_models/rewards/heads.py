"""Reward heads: a small, detachable model of reward and success per task.

A head is fitted on labelled transitions alone: on the relabelled pool, or on a few labels of a new task.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.rewards.fitting import fit_head
from world_models.rewards.head import Head, Labels
from world_models.rewards.head_stack import HeadBatch, HeadStack

LEAST = 10
"""Labels that a head needs."""


class RewardHeads:
    """Heads by task name. Adding one touches neither the dynamics nor any other head."""

    def __init__(self, layout: Layout, heads: Mapping[str, Head] | None = None) -> None:
        self.layout = layout
        self.heads = dict(heads or {})
        self._stacked: tuple[tuple[Head, ...], HeadStack] | None = None

    def __repr__(self) -> str:
        """The tasks and how well each head fits."""
        known = (f"{name} (reward error {head.reward_error:.1%})" for name, head in self.heads.items())
        return f"RewardHeads({', '.join(known)})"

    def add(self, name: str, labels: Labels, seed: int = 0) -> Head:
        """Fit a head; a head of that name is replaced.

        Raises:
            ModelError: fewer than 10 labels, or a label that is not finite.
        """
        count, bad = len(labels.reward), int((~torch.isfinite(labels.reward)).sum())
        if count < LEAST:
            raise ModelError(f"task {name!r}: a reward head needs at least {LEAST} labels, got {count}")
        if bad:
            raise ModelError(
                f"task {name!r}: its reward is not finite in {bad} of {count} labelled transitions"
            )
        device = labels.obs.device  # a search over few labels is quickest on the CPU, wherever the model is
        here = Labels(*(part.cpu() for part in vars(labels).values()))
        self.heads[name] = fit_head(self.layout, here, seed).to(device)
        return self.heads[name]

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b K"]:
        """Reward of each transition in each task, in the order of `heads`."""
        stack = self._stack()
        x = stack.quantities(obs, action, next_obs)
        return torch.stack([head.reward(x) for head in stack.heads], dim=-1)

    def success(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b K"]:
        """Probability that each state fulfils each task."""
        stack = self._stack()
        x = stack.quantities.of_states(obs)
        return torch.stack([head.success(x) for head in stack.heads], dim=-1)

    def pairs(self, rows: Int[Tensor, " S"], tasks: Int[Tensor, " S"]) -> HeadBatch:
        """Head number `tasks[s]` for episode `rows[s]`: all in one program."""
        return HeadBatch(self._stack(), rows, tasks)

    def _stack(self) -> HeadStack:
        heads = tuple(self.heads.values())
        if self._stacked is None or self._stacked[0] != heads:
            self._stacked = heads, HeadStack.of(self.layout, heads)
        return self._stacked[1]

    def select(self, names: list[str]) -> "RewardHeads":
        """The heads of these tasks, in this order.

        Raises:
            ModelError: there is no head of that name.
        """
        missing = [name for name in names if name not in self.heads]
        if missing:
            raise ModelError(f"no reward head for {missing[0]!r}; fit one from labels first")
        return RewardHeads(self.layout, {name: self.heads[name] for name in names})
