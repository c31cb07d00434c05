"""How plans are searched for: planner, candidates, horizon."""

from collections.abc import Callable

import viser

from mbtransfer.evaluation.config import EvalContext
from mbtransfer.live.loop import Command
from mbtransfer.live.session import LiveSession, Search
from mbtransfer.mpc.controller import with_horizon
from planners.registry import PLANNERS, find_planner

_FEWEST, _MOST = 16, 256
"""Candidates."""

_NEAREST, _FARTHEST = 4, 30
"""Control steps that plans look ahead."""


class SearchPanel:
    """Planner, candidates and horizon; a change holds from the next decision on, and is told then.

    Args:
        gui: of viser, in the place where the panel goes.
        context: the settings at the beginning.
        act: lets the session do something.
    """

    def __init__(self, gui: viser.GuiApi, context: EvalContext, act: Callable[[Command], None]) -> None:
        config, self._act = context.config, act
        names = tuple(dict.fromkeys((config.planner, *PLANNERS)))
        own = getattr(find_planner(config.planner).config_type(), "candidates", _FEWEST)
        ahead = int(config.horizon or with_horizon(context.environment)["horizon"])
        self._planner = gui.add_dropdown("Planner", names, initial_value=config.planner)
        self._candidates = gui.add_slider(
            "Candidates",
            _FEWEST,
            _MOST,
            8,
            initial_value=min(max(int(config.candidates or own), _FEWEST), _MOST),
        )
        self._horizon = gui.add_slider(
            "Horizon", _NEAREST, _FARTHEST, 1, initial_value=min(max(ahead, _NEAREST), _FARTHEST),
            hint="control steps that plans look ahead",
        )  # fmt: skip
        self._in_force = gui.add_markdown(in_force(Search(config.planner, config.candidates, ahead)))
        for control in (self._planner, self._candidates, self._horizon):
            control.on_update(lambda _: self._changed())

    def _changed(self) -> None:
        search = Search(self._planner.value, int(self._candidates.value), int(self._horizon.value))
        self._act(lambda session: self._change(session, search))

    def _change(self, session: LiveSession, search: Search) -> None:
        session.set_search(search)
        self._in_force.content = in_force(session.search)


def in_force(search: Search) -> str:
    """How plans are searched for, in words."""
    many = "" if search.candidates is None else f"{search.candidates} candidates, "
    return f"in force: **{search.planner}**, {many}{search.horizon} control steps ahead"
