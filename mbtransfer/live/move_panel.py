"""Any fixture to any place, by the robot or by hand, and any point for the hand to reach."""

from collections.abc import Callable

import viser
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.live.loop import Command
from mbtransfer.live.work_panel import put
from tasks.environment import Environment
from tasks.task import Task

_STEPS = 100
"""Places that a slider knows."""

_ARROWS_M = 0.25
"""Size of the handle that is dragged, metres."""


class MovePanel:
    """A slider for each fixture.

    Args:
        gui: of viser, in the place where the panel goes.
        environment: has the fixtures; at least one.
        give: gives the robot a task.
        act: lets the session do something.
    """

    def __init__(
        self,
        gui: viser.GuiApi,
        environment: Environment,
        give: Callable[[Task], None],
        act: Callable[[Command], None],
    ) -> None:
        self._environment, self._give, self._act = environment, give, act
        names = tuple(fixture.name for fixture in environment.spec.fixtures)
        first = environment.spec.fixtures[0]
        self._choice = gui.add_dropdown("Fixture", names)
        self._place = gui.add_slider(
            f"To ({first.unit})", first.low, first.high, first.span / _STEPS,
            initial_value=first.low + first.span / 2,
        )  # fmt: skip
        gui.add_button("Let the robot move it", icon=viser.Icon.ROBOT).on_click(lambda _: self._ask())
        gui.add_button("Push it there by hand", icon=viser.Icon.HAND_FINGER).on_click(lambda _: self._push())
        hold = gui.add_checkbox(
            "Hold what is done", False, hint="the robot goes on, and does again what a push has undone"
        )
        hold.on_update(lambda _: act(lambda session: setattr(session, "hold", hold.value)))
        self._choice.on_update(lambda _: self._chosen())

    def _chosen(self) -> None:
        fixture = self._environment.spec.fixture(self._choice.value)
        self._place.label = f"To ({fixture.unit})"
        self._place.min, self._place.max, self._place.step = fixture.low, fixture.high, fixture.span / _STEPS
        put(self._place, fixture.low + fixture.span / 2)

    def _target(self) -> tuple[str, float]:
        fixture = self._environment.spec.fixture(self._choice.value)
        return fixture.name, min(max(round(self._place.value, 3), fixture.low), fixture.high)

    def _ask(self) -> None:
        self._give(self._environment.move(*self._target()))

    def _push(self) -> None:
        name, to = self._target()
        self._act(lambda session: session.push(name, to))


class ReachHandle:
    """Three arrows in the scene: wherever they are dragged, the hand follows.

    Args:
        server: draws.
        environment: says how far the hand reaches; it has a hand in space.
        hand: where the hand is now, metres.
        give: gives the robot a task.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        environment: Environment,
        hand: Callable[[], Float[ndarray, "3"]],
        give: Callable[[Task], None],
    ) -> None:
        spec = environment.spec
        self._limits = [(spec.observation[i].low, spec.observation[i].high) for i in spec.hand]
        self._environment, self._hand, self._give = environment, hand, give
        self._show = server.gui.add_checkbox(
            "Arrows to drag", False, hint="the hand goes where you let go of them"
        )
        x, y, z = self._limits
        self._arrows = server.scene.add_transform_controls(
            "/reach", scale=_ARROWS_M, disable_rotations=True, translation_limits=(x, y, z), depth_test=False,
            visible=False,
        )  # fmt: skip
        self._show.on_update(lambda _: self._toggle())
        self._arrows.on_drag_end(lambda _: self._ask())

    def _toggle(self) -> None:
        if self._show.value:
            self._arrows.position = self._hand()
        self._arrows.visible = self._show.value

    def _ask(self) -> None:
        place = zip(self._arrows.position, self._limits, strict=True)
        point = [min(max(round(float(value), 3), low), high) for value, (low, high) in place]
        self._give(self._environment.reach(point))
