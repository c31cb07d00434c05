"""What is done with one thing of a workcell, and its reward: press a button, move a slide, place the cube."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasks.ogbench.spec import AXES, GRIPPER
from tasks.spec import Fixture
from tasks.task import Task

TOLERANCE = 0.04
"""How far from their goal (m) OGBench lets the cube, the drawer and the window be."""

DEPTH = -0.022
"""Position (m) of a button that is pressed for certain."""

ABOVE = 0.15
"""Height (m) of the cube's centre over its goal at which it passes the sides of the drawer."""

APART, RISEN, PUSH_BACK = 0.16, 0.03, 3.0
"""Way (m) beside its goal at which the cube waits while it is lower than `ABOVE`, by so much (m) or more; and the cost
of each metre nearer, in metres of way."""

LYING = ((-0.07, -0.09, -0.03), (0.07, 0.03, 0.03))
"""Where a cube (x, y, z in m) in the drawer lies, seen from where it shall be: at most as far as its sides."""

HOLDING = 0.5
"""How far the gripper is closed about a cube; a cube that is let go in the air lands anywhere."""

PULL = 3.0
"""Reward of what the hand is there for, as a multiple of the reward of being there."""

CLEAR = 0.08
"""Height (m) over a handle at which the hand comes, as OGBench's oracles do."""

BESIDE = 0.04
"""Nearer than this along x and y (m), it goes down."""

READY = 0.1
"""Reward of a hand that is turned as the thing lies, and opened or closed as it shall be."""


def reach(obs: Float[Tensor, "*b O"], handle: tuple[int, int, int]) -> Float[Tensor, "*b"]:
    """Way (m) of the hand to a handle, which it comes to from above."""
    way = obs[..., list(handle)]
    above = CLEAR * (way[..., :2].norm(dim=-1) / BESIDE - 1.0).clamp(0.0, 1.0)
    return (way + torch.stack([torch.zeros_like(above)] * 2 + [above], dim=-1)).norm(dim=-1)


def unready(obs: Float[Tensor, "*b O"], handle: tuple[int, int, int]) -> Float[Tensor, "*b"]:
    """How far the gripper is from open (0 to 1) where the hand is not at the handle yet."""
    away = (obs[..., list(handle)].norm(dim=-1) / BESIDE - 1.0).clamp(0.0, 1.0)
    return away * obs[..., GRIPPER]


@dataclass(frozen=True)
class Press(Task):
    """Press a button; done as long as it is down."""

    button: Fixture

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the button (m), plus the share of its way that it is down, less an open gripper."""
        down = (next_obs[..., self.button.position] / DEPTH).clamp(0.0, 1.0)
        return down - PULL * reach(next_obs, self.button.handle) - READY * (1.0 - next_obs[..., GRIPPER])

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Down."""
        return obs[..., self.button.position] <= DEPTH

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The button."""
        return (self.button,)


@dataclass(frozen=True)
class Slide(Task):
    """Bring drawer or window to a place (m).

    Attributes:
        slide: drawer or window.
        to: where to.
        along: direction (x, y) of its handle, along which the hand's own x axis fits.
        within: how near is near enough (m).
    """

    slide: Fixture
    to: float
    along: tuple[float, float]
    within: float = TOLERANCE

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the handle (m) and the way to go (share of the range), less a hand that is not ready."""
        gap = (next_obs[..., self.slide.position] - self.to).abs() / self.slide.span
        fits = (next_obs[..., AXES : AXES + 2] * next_obs.new_tensor(self.along)).sum(dim=-1).square()
        ready = fits - unready(next_obs, self.slide.handle)
        return READY * ready - reach(next_obs, self.slide.handle) - PULL * gap

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `within` of it."""
        return (obs[..., self.slide.position] - self.to).abs() <= self.within

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Drawer or window."""
        return (self.slide,)


@dataclass(frozen=True)
class Place(Task):
    """Bring the cube to a place (m), which may ride with the drawer.

    Attributes:
        cube: its place along x, y and z, and cosine and sine of four times its yaw.
        to: where to.
        within: how near is near enough (m).
        rides: the drawer, where the place is in it.
    """

    cube: tuple[Fixture, ...]
    to: tuple[float, float, float]
    within: float = TOLERANCE
    rides: Fixture | None = None

    def reward(
        self, obs: Float[Tensor, "*b O"], action: Float[Tensor, "*b A"], next_obs: Float[Tensor, "*b O"]
    ) -> Float[Tensor, "*b"]:
        """Minus the way to the cube (m) and its own way (m), over the sides into a drawer, less a hand not ready."""
        handle = self.cube[0].handle
        ready = 0.5 * self._fits(next_obs) - unready(next_obs, handle)
        at_hand = READY * ready - reach(next_obs, handle)
        gap = self._gap(next_obs)
        if self.rides is None:
            return at_hand - PULL * gap.norm(dim=-1)
        beside, height = gap[..., :2].norm(dim=-1), gap[..., 2]
        outside = (beside / self.within - 1.0).clamp(0.0, 1.0).masked_fill(self._in_drawer(gap), 0.0)
        up, down = (ABOVE - height).clamp(min=0.0), height.clamp(min=ABOVE)
        # All of the way that is left: else coming to hang over the goal would cost what it is above it. The lower the
        # cube is beside the drawer, the more it costs to come near: it rises first.
        low = outside * (up / RISEN).clamp(max=1.0)
        beside = beside + low * PUSH_BACK * (APART - beside).clamp(min=0.0)
        aloft = ((height - LYING[1][2]) / LYING[1][2]).clamp(0.0, 1.0)
        at_hand = at_hand - PULL * aloft * (1.0 - next_obs[..., GRIPPER] / HOLDING).clamp(min=0.0)
        return at_hand - PULL * (beside + outside * (up + down) + (1.0 - outside) * height.abs())

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `within` of it."""
        return self._gap(obs).norm(dim=-1) <= self.within

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The cube's."""
        return self.cube

    def _in_drawer(self, gap: Float[Tensor, "*b 3"]) -> Bool[Tensor, "*b"]:
        """Whether the cube lies in the drawer: what is left of its way is a push."""
        low, high = (gap.new_tensor(end) for end in LYING)
        return ((gap >= low) & (gap <= high)).all(dim=-1)

    def _fits(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b"]:
        """Cosine of four times the angle between the hand and the cube: 1 where its sides lie between the fingers."""
        c, s = obs[..., AXES], obs[..., AXES + 1]
        c, s = c * c - s * s, 2 * c * s
        c, s = c * c - s * s, 2 * c * s
        return c * obs[..., self.cube[3].position] + s * obs[..., self.cube[4].position]

    def _gap(self, obs: Float[Tensor, "*b O"]) -> Float[Tensor, "*b 3"]:
        gap = obs[..., [part.position for part in self.cube[:3]]] - obs.new_tensor(self.to)
        if self.rides is not None:  # the drawer opens along y, towards the arm
            gap = gap + obs[..., self.rides.position, None] * obs.new_tensor([0.0, 1.0, 0.0])
        return gap


@dataclass(frozen=True)
class Light(Task):
    """A light is on: a fact, nobody's aim by itself."""

    column: int

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """It is 1; models may say something in between."""
        return obs[..., self.column] > 0.5
