"""Hard modules: a network for each thing that is moved and one for each kind of goal, of which a task takes one each.

Devin et al. 2017, "Learning modular neural network policies for multi-task and multi-robot transfer": the module of
the task is followed by that of the robot, which reads what the first one says beside the state, and a pair of modules
that was never trained together can act. Here things take the place of robots. With o the thing, k the kind of goal,
p the position of the thing and z where it shall be (see `mbtransfer.transfer.policy.context.ObjectGoal`),

    output = f_o(s, g_k(p, z))

What g_k says has few numbers (`MESSAGE`), for the paper's reason: a pair that was never trained is understood only if
all modules of a kind come to speak alike.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MESSAGE = 4
"""Numbers that a module of a goal tells that of a thing."""


class HardModules(nn.Module):
    """A network of modules, of which the context chooses.

    Args:
        inputs: O, columns of the observation; behind them the context has a column for each thing, one for each kind
            of goal, and one for the place.
        outputs: Y, output columns.
        positions: column of the position of each thing.
        kinds: number of kinds of goals.
        width: units of the hidden layers.
    """

    positions: Tensor

    def __init__(
        self, inputs: int, outputs: int, positions: Int[Tensor, " M"], kinds: int, width: int = 128
    ) -> None:
        super().__init__()
        self._inputs = inputs
        self.register_buffer("positions", positions)
        self.of_goal = nn.ModuleList(
            nn.Sequential(nn.Linear(2, width // 4), nn.ReLU(), nn.Linear(width // 4, MESSAGE), nn.Tanh())
            for _ in range(kinds)
        )
        self.of_thing = nn.ModuleList(
            nn.Sequential(
                nn.Linear(inputs + MESSAGE, width), nn.LayerNorm(width), nn.ReLU(),
                nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs),
            )
            for _ in positions
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "*b I"]) -> Float[Tensor, "*b Y"]:
        """The output for observations, behind which are contexts."""
        rows = x.reshape(-1, x.shape[-1])
        own, context = rows[:, : self._inputs], rows[:, self._inputs :]
        count = len(self.of_thing)
        thing, kind = context[:, :count].argmax(dim=1), context[:, count:-1].argmax(dim=1)
        at = own.gather(1, self.positions[thing][:, None])
        says = _each(self.of_goal, kind, torch.cat([at, context[:, -1:]], dim=1))
        out = _each(self.of_thing, thing, torch.cat([own, says], dim=1))
        return out.reshape(*x.shape[:-1], -1)


def _each(modules: nn.ModuleList, which: Int[Tensor, " N"], x: Float[Tensor, "N I"]) -> Float[Tensor, "N Y"]:
    """Each row through its module."""
    order = which.argsort(stable=True)
    parts = x[order].split(which.bincount(minlength=len(modules)).tolist())
    found = torch.cat([module(part) for module, part in zip(modules, parts, strict=True)])
    return found[order.argsort()]
