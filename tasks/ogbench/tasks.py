"""OGBench's tasks of a workcell: its starts, its goals, its success; rewards with subgoals from what locks what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from tasks.ogbench.cells import Cell
from tasks.ogbench.spec import AXES, CUBE, GRIPPER, lights_of
from tasks.ogbench.starts import Setting, Starts
from tasks.spec import EnvSpec, Fixture
from tasks.subgoals import Operator, StagedTask, search
from tasks.task import Task

TOLERANCE = 0.04
"""How far from their goal (m) OGBench lets the cube, the drawer and the window be."""

WITHIN = 0.03
"""Nearer than this (m), a part of a goal counts as done for the search, so that the edge of success is not the aim."""

OPEN = -0.16
"""Position of the drawer (m) when it is open; at 0 it is shut."""

DEPTH = -0.022
"""Position (m) of a button that is pressed for certain."""

ABOVE = 0.13
"""Height (m) of the cube's centre over its goal at which it passes the sides of the drawer."""

APART, RISEN = 0.16, 0.04
"""Way (m) beside its goal at which the cube waits while it is lower than `ABOVE`, by so much (m) or more."""

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
        beside = gap[..., :2].norm(dim=-1)
        up = (ABOVE - gap[..., 2]).clamp(min=0.0)
        down = gap[..., 2].clamp(min=ABOVE)
        outside = (beside / TOLERANCE - 1.0).clamp(0.0, 1.0)
        # All of the way that is left: else coming to hang over the goal would cost what it is above it. Nothing is
        # gained beside the drawer: the cube rises first.
        beside = torch.maximum(beside, APART * outside * (up / RISEN).clamp(max=1.0))
        return at_hand - PULL * (beside + outside * (up + down) + (1.0 - outside) * gap[..., 2].abs())

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """Within `within` of it."""
        return self._gap(obs).norm(dim=-1) <= self.within

    @property
    def fixtures(self) -> tuple[Fixture, ...]:
        """The cube's."""
        return self.cube

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


@dataclass(frozen=True)
class Every(Task):
    """OGBench's success: every part is done, and every light as it shall be."""

    parts: tuple[Task, ...]
    columns: tuple[int, ...]
    lights: tuple[int, ...]

    def success(self, obs: Float[Tensor, "*b O"]) -> Bool[Tensor, "*b"]:
        """See above."""
        there = ((obs[..., list(self.columns)] > 0.5) == obs.new_tensor(self.lights).bool()).all(dim=-1)
        for part in self.parts:
            there = there & part.success(obs)
        return there


@dataclass(frozen=True, eq=False)
class WorkcellTask(StagedTask):
    """One of OGBench's tasks.

    Attributes:
        begin: how things stand at its start.
        starts: draws start states.
    """

    begin: Setting | None = None
    starts: Starts | None = None

    def start_states(self, rng: np.random.Generator, n: int) -> Float[ndarray, "n S"]:
        """Where OGBench begins it."""
        assert self.begin is not None and self.starts is not None
        return self.starts.of(rng, n, self.begin)


def named_tasks(
    described: EnvSpec, cell: Cell, infos: Sequence[Mapping[str, Any]], starts: Starts
) -> dict[str, Task]:
    """The tasks that the package declares, by its names.

    Args:
        described: the spec.
        cell: what is in the workcell.
        infos: the package's `task_infos`.
        starts: draws start states.
    """
    found: dict[str, Task] = {}
    for info in infos:
        begin, goal = _settings(cell, info)
        found[info["task_name"]] = _task(info["task_name"], described, cell, (begin, goal), starts)
    return found


def _settings(cell: Cell, info: Mapping[str, Any]) -> tuple[Setting, Setting]:
    """Start and goal: the environments of the package lay them out in three ways."""
    return (_setting(cell, info, "init"), _setting(cell, info, "goal"))


def _setting(cell: Cell, info: Mapping[str, Any], when: str) -> Setting:
    given = info[when] if when in info else {k.removeprefix(f"{when}_"): v for k, v in info.items()}
    cubes = given.get("block_xyzs", given.get("xyzs"))
    cube = None if cubes is None else tuple(float(x) for x in cubes[0])
    slides = tuple(float(given[f"{slide.name}_pos"]) for slide in cell.slides)
    return Setting(cube, slides, tuple(int(x) for x in given.get("button_states", ())))  # type: ignore[arg-type]


def _task(
    name: str, described: EnvSpec, cell: Cell, settings: tuple[Setting, Setting], starts: Starts
) -> WorkcellTask:
    begin, goal = settings
    facts, operators, aim = _operators(described, cell, goal)
    plan = search(len(facts), operators, aim)
    return WorkcellTask(
        name,
        _text(name, cell, goal),
        "source",
        facts,
        operators,
        plan,
        _done(described, cell, goal),
        begin,
        starts,
    )


def _text(name: str, cell: Cell, goal: Setting) -> str:
    parts = [] if goal.cube is None else ["cube to ({:g}, {:g}, {:g}) m".format(*goal.cube)]
    parts += [f"{one.name} at {place:g} m" for one, place in zip(cell.slides, goal.slides, strict=True)]
    if goal.lights:
        parts.append("lights " + "".join(map(str, goal.lights)))
    return f"OGBench's {name}: {', '.join(parts)}"


def _cube(described: EnvSpec) -> tuple[Fixture, ...]:
    return tuple(described.fixture(name) for name, *_ in CUBE)


def _done(described: EnvSpec, cell: Cell, goal: Setting) -> Every:
    parts: list[Task] = []
    if goal.cube is not None:
        parts.append(Place("cube", "", "source", _cube(described), goal.cube))
    for slide, place in zip(cell.slides, goal.slides, strict=True):
        parts.append(Slide(slide.name, "", "source", described.fixture(slide.name), place, slide.along))
    return Every("done", "", "source", tuple(parts), lights_of(described, cell), goal.lights)


def _operators(
    described: EnvSpec, cell: Cell, goal: Setting
) -> tuple[tuple[Task, ...], tuple[Operator, ...], list[tuple[int, bool]]]:
    """Facts, operators and the aim: lights come first, then where slides are, then the cube."""
    facts: list[Task] = [
        Light(name, "", "source", column)
        for name, column in zip(cell.lights, lights_of(described, cell), strict=True)
    ]
    aim = [(k, bool(on)) for k, on in enumerate(goal.lights)]
    operators = [
        Operator(Press(f"press {name}", "", "source", described.fixture(name)), toggles=cell.changed_by(k))
        for k, name in enumerate(cell.buttons)
    ]
    drawer = next((k for k, slide in enumerate(cell.slides) if slide.name == "drawer"), None)
    inside = goal.cube is not None and drawer is not None and goal.cube[2] > 0.04
    drawer_open = -1
    for k, slide in enumerate(cell.slides):
        fixture, wanted = described.fixture(slide.name), [goal.slides[k]]
        if inside and k == drawer:
            wanted += [OPEN] if abs(goal.slides[k] - OPEN) > TOLERANCE else []
        numbers = [len(facts) + i for i in range(len(wanted))]
        for number, place in zip(numbers, wanted, strict=True):
            one = Slide(f"{slide.name} to {place:g}", "", "source", fixture, place, slide.along, WITHIN)
            facts.append(one)
            makes = tuple((other, other == number) for other in numbers)
            operators.append(Operator(one, ((slide.lock, True),), makes))
        aim.append((numbers[0], True))
        drawer_open = numbers[-1] if k == drawer else drawer_open
    if goal.cube is not None:
        rides = described.fixture("drawer") if inside else None
        placed = Place("cube to its place", "", "source", _cube(described), goal.cube, WITHIN, rides)
        needs = ((drawer_open, True),) if inside else ()
        operators.append(Operator(placed, needs, ((len(facts), True),)))
        aim.append((len(facts), True))
        facts.append(placed)
    return tuple(facts), tuple(operators), aim
