"""Initialisation of an unseen object's weights from a similar one, mirrored and rotated to fit.

A lever that swings up and one that swings sideways obey one law in different axes. A block's weights can be
carried to another object exactly: permute and flip the axes of every vector that it reads and moves, turn its
joint round if need be, and correct for the scales. Which of the 48 symmetries of the cube, which donor and
which direction fit is for the new transitions to say. (The symmetry is a guess about the world, tested on
data; equivariant networks, e.g. van der Pol et al. 2020, build it in.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.dynamics.ensemble import EnsembleDynamics, run_blocks
from world_models.errors import ModelError
from world_models.layout import Layout
from world_models.normalizer import Normalizer
from world_models.transitions import Transitions


@dataclass(frozen=True)
class AxisSymmetry:
    """A donor object, and how its axes lie in the target's: target axis i is donor axis `axes[i]` times `signs[i]`."""

    donor: int
    axes: tuple[int, ...]
    signs: tuple[int, ...]
    joint: int

    def describe(self, layout: Layout) -> str:
        """In words: donor and axes, such as `tap(+z -x +y)`."""
        axes = " ".join(
            f"{'+' if s > 0 else '-'}{'xyz'[a]}" for a, s in zip(self.axes, self.signs, strict=True)
        )
        return f"{layout.objects[self.donor].name}({axes}{'' if self.joint > 0 else ', reversed'})"


def grafts(layout: Layout, target: int) -> Iterator[AxisSymmetry]:
    """Every way in which one object's block may serve another of as many joints; the target as it is first."""
    size = len(layout.objects[target].positions)
    alike = [k for k, body in enumerate(layout.objects) if len(body.positions) == size]
    still = ((0, 1, 2), (1, 1, 1), 1)
    yield AxisSymmetry(target, *still)
    turned = list(product(permutations(range(3)), product((1, -1), repeat=3), (1, -1)))
    for donor in alike:
        for axes, signs, joint in turned if layout.hand_actions else [still]:
            yield AxisSymmetry(donor, axes, signs, joint)


@torch.no_grad()
def transplant(dynamics: EnsembleDynamics, new: Transitions, target: int) -> str:
    """Give the object the graft that explains its new transitions best, averaged over members; says which.

    Args:
        dynamics: changed in place, in the target's block only.
        new: transitions in which the object moves.
        target: which object of the layout.

    Raises:
        ModelError: the objects have no blocks of their own, or joints without limits.
    """
    layout, structure = dynamics.layout, dynamics.config.structure
    if structure != "objects":
        raise ModelError(f"only blocks of structure objects are transplanted; this model's is {structure}")
    if not all(layout.limited[column] for body in layout.objects for column in body.positions):
        raise ModelError("a block is only transplanted between objects whose joints have limits")
    judge = _Judge(dynamics, new, target)
    tried = list(grafts(dynamics.layout, target))
    errors = [float(judge.error(_grafted(dynamics, target, graft)).mean()) for graft in tried]
    best = tried[min(range(len(tried)), key=errors.__getitem__)]
    rows = torch.arange(dynamics.config.members) * dynamics.blocks + 1 + target
    for parameter, value in zip(_parameters(dynamics), _grafted(dynamics, target, best), strict=True):
        parameter[rows] = value
    return best.describe(dynamics.layout)


class _Judge:
    """How well a block's weights explain what one object did."""

    def __init__(self, dynamics: EnsembleDynamics, new: Transitions, target: int) -> None:
        body, hand = dynamics.layout.objects[target], dynamics.layout.hand
        assert hand is not None
        features, gate = dynamics.features(new.obs.T[None], new.actions.T[None])
        members = dynamics.config.members
        reads = dynamics.reads[1 + target]
        self._inputs = features[:, reads].expand(members, -1, -1)
        self._gate = gate[:, 1 + target]
        change = new.next_obs - new.obs
        handle = change[:, list(body.vector)] + change[:, list(hand.positions)]
        own = [*body.positions, *body.velocities]
        scale = dynamics.normalizer.change[[*own, *body.vector]]
        self._truth = (torch.cat([change[:, own], handle], dim=1) / scale).T

    def error(self, block: list[Tensor]) -> Float[Tensor, " E"]:
        """Robust error of each member: mean of the absolute value."""
        layers = len(block) // 2
        outputs = run_blocks(self._inputs, block[:layers], block[layers:]) * self._gate
        return (outputs[:, : len(self._truth)] - self._truth).abs().mean(dim=(1, 2))


def _parameters(dynamics: EnsembleDynamics) -> list[Tensor]:
    return [*dynamics.weights, *dynamics.biases]


def _grafted(dynamics: EnsembleDynamics, target: int, graft: AxisSymmetry) -> list[Tensor]:
    """The donor's block of every member as seen from the target: weights, then biases."""
    rows = torch.arange(dynamics.config.members) * dynamics.blocks + 1 + graft.donor
    block = [parameter[rows].clone() for parameter in _parameters(dynamics)]
    layers = len(block) // 2
    source, factor, offset = _inputs(dynamics, target, graft)
    block[layers] = block[layers] + block[0][:, :, source] @ offset[:, None]
    width = block[0].shape[2] - len(source)
    padding = list(range(len(source), len(source) + width))
    block[0] = block[0][:, :, source + padding] * torch.cat([factor, factor.new_ones(width)])
    source, factor = _outputs(dynamics, target, graft)
    for i in (layers - 1, 2 * layers - 1):
        block[i][:, : len(source)] = block[i][:, source] * factor[:, None]
    return block


def _inputs(dynamics: EnsembleDynamics, target: int, graft: AxisSymmetry) -> tuple[list[int], Tensor, Tensor]:
    """For each input of the target's block the donor's input, which is `factor` times it plus `offset`."""
    layout, scales = dynamics.layout, dynamics.normalizer
    body, donor, hand = layout.objects[target], layout.objects[graft.donor], layout.hand
    assert hand is not None
    p, turn = len(body.positions), float(graft.joint)
    turned = list(zip(graft.axes, map(float, graft.signs), strict=True))

    rows: list[tuple[int, float, float]] = [(i, turn, 0.0) for i in range(p)]
    for i, (new, old) in enumerate(zip(body.velocities, donor.velocities, strict=True)):
        rows.append(_scaled(scales, p + i, new, old, turn))
    for i in range(p):
        ends = (0, 1) if graft.joint > 0 else (1, 0)
        rows += [(2 * p + 2 * i + end, 1.0, 0.0) for end in ends]
    first = 4 * p
    for a in range(layout.action_size):
        axis = layout.hand_actions.index(a) if a in layout.hand_actions else None
        if axis is None:
            rows.append((first + a, 1.0, 0.0))
        else:
            rows.append((first + layout.hand_actions[graft.axes[axis]], float(graft.signs[axis]), 0.0))
    first += layout.action_size
    rows += [
        _scaled(scales, first + a, body.vector[i], donor.vector[a], s) for i, (a, s) in enumerate(turned)
    ]
    rows.append((first + 3, 1.0, 0.0))
    rows += [(first + 4 + a, s, 0.0) for a, s in turned]
    rows += [
        _scaled(scales, first + 7 + a, hand.velocities[i], hand.velocities[a], s)
        for i, (a, s) in enumerate(turned)
    ]
    sources, factors, offsets = zip(*rows, strict=True)
    return list(sources), scales.scale.new_tensor(factors), scales.scale.new_tensor(offsets)


def _scaled(scales: Normalizer, source: int, new: int, old: int, sign: float) -> tuple[int, float, float]:
    """A column `new` that is a column `old` times a sign, each of them shifted and scaled."""
    centre, scale = scales.centre, float(scales.scale[old])
    return source, sign * float(scales.scale[new]) / scale, float(sign * centre[new] - centre[old]) / scale


def _outputs(dynamics: EnsembleDynamics, target: int, graft: AxisSymmetry) -> tuple[list[int], Tensor]:
    """The same for each output: joint by joint, then the handle's and the hand's vectors axis by axis."""
    p = len(dynamics.layout.objects[target].positions)
    unit = dynamics.normalizer.change[dynamics.unit]
    source, sign = list(range(2 * p)), [float(graft.joint)] * (2 * p)
    for vector in range(3):
        first = 2 * p + 3 * vector
        source += [first + a for a in graft.axes]
        sign += [float(s) for s in graft.signs]
    ratio = unit[1 + graft.donor][source] / unit[1 + target][: len(source)]
    return source, ratio * ratio.new_tensor(sign)
