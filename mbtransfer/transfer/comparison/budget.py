"""Budgets of a comparison: labels, episodes, seeds, practice and training sizes that belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mbtransfer.transfer.method import Method


@dataclass(frozen=True)
class Budget:
    """What a comparison may cost.

    Attributes:
        labels: labelled transitions behind the reward of each task, or what the pool holds; None for as many as usual.
        episodes: episodes for each target and seed.
        seeds: seeds of methods and episodes.
        practice: numbers of episodes of each target to learn from.
        small: train the methods' small variants; see `Method.small`.
    """

    labels: int | None = None
    episodes: int = 5
    seeds: tuple[int, ...] = (0,)
    practice: tuple[int, ...] = (0,)
    small: bool = False

    def sized(self, methods: Sequence[Method[Any]]) -> list[Method[Any]]:
        """The methods with as much training as the budget gives."""
        return [method.small() if self.small else method for method in methods]


BUDGETS = {
    None: Budget(),
    "small": Budget(labels=1000, episodes=3, practice=(0, 1), small=True),
    "paper": Budget(labels=1000, episodes=10, seeds=(0, 1, 2), practice=(0, 1, 5)),
}
"""Budgets by name; None is what one gets without asking."""
