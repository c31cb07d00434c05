"""Candidate plans side by side: join them, pick some, take the best."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def worst(returns: Float[Tensor, "*b"]) -> float:
    """The return that stands for one that is not finite; a number, so that arithmetic on it stays finite."""
    return torch.finfo(returns.dtype).min


def join(*groups: Float[Tensor, "B _ H A"] | None) -> Float[Tensor, "B N H A"]:
    """All plans of all groups; None is an empty group."""
    present = [group for group in groups if group is not None]
    return present[0] if len(present) == 1 else torch.cat(present, dim=1)


def pick(candidates: Float[Tensor, "B N H A"], index: Int[Tensor, "B K"]) -> Float[Tensor, "B K H A"]:
    """The candidates at `index`, episode by episode."""
    return candidates.take_along_dim(index[..., None, None], dim=1)


def best_of(
    candidates: Float[Tensor, "B N H A"], returns: Float[Tensor, "B N"], n: int
) -> tuple[Float[Tensor, "B K H A"], Float[Tensor, "B K"]]:
    """The K = n candidates with the highest returns, best first, and their returns.

    Where fewer have a finite return, the best one stands in for each of the others.
    """
    top = returns.topk(n, dim=1)
    lost = top.values == worst(returns)
    index = torch.where(lost, top.indices[:, :1], top.indices)
    return pick(candidates, index), torch.where(lost, top.values[:, :1], top.values)
