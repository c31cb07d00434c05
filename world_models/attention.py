"""Attention between objects: what one block has found out may matter to another.

Scaled dot-product attention (Vaswani et al. 2017) over the blocks of one member, row by row, as in relational
world models and agents (Zambaldi et al. 2019). One narrow head: a block is small, and so is what it has to tell.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH = 8
"""Numbers in a query, a key and a value."""


class Attention(nn.Module):
    """The weights of E members: one head each, the same for all of a member's blocks.

    Args:
        members: E.
        hidden: h, the width of what the blocks have found out.
        generator: source of the initial weights.
    """

    def __init__(self, members: int, hidden: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        ask = torch.randn(members, 3 * WIDTH, hidden, generator=generator) / hidden**0.5
        answer = torch.randn(members, hidden, WIDTH, generator=generator) / WIDTH**0.5
        self.ask, self.answer = nn.Parameter(ask), nn.Parameter(0.1 * answer)

    def forward(self, x: Float[Tensor, "EK h R"]) -> Float[Tensor, "EK h R"]:
        """See `attend`."""
        return attend(x, self.ask, self.answer)


def attend(
    x: Float[Tensor, "EK h R"], ask: Float[Tensor, "E d3 h"], answer: Float[Tensor, "E h d"]
) -> Float[Tensor, "EK h R"]:
    """Add to each block's hidden units what it asks of the other blocks of its member, for each row apart.

    `ask` makes a query, a key and a value of each block; `answer` turns the values heard into hidden units.
    """
    blocks = len(x) // len(ask)
    asked = torch.bmm(ask.repeat_interleave(blocks, 0), x).unflatten(0, (-1, blocks))
    query, key, value = asked.chunk(3, dim=2)
    # Products of a few numbers each: written out, they need no copies with the rows in front.
    match = (query[:, :, None] * key[:, None]).sum(dim=3) / query.shape[2] ** 0.5
    heard = (match.softmax(dim=2)[:, :, :, None] * value[:, None]).sum(dim=2)
    return torch.baddbmm(x, answer.repeat_interleave(blocks, 0), heard.flatten(0, 1).to(asked.dtype))
