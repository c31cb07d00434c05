"""The fan of candidate plans of the hand, and the chosen plan in the colour of the members' disagreement."""

import numpy as np
import viser
from jaxtyping import Float, UInt8
from numpy import ndarray

from mbtransfer.mpc.outlook import Outlook

SURE, HALF, UNSURE = (40, 170, 90), (240, 180, 40), (215, 40, 40)
"""Colours of the least disagreement, of the median of held-out roll-outs, and of the greatest."""

_BEST, _OTHERS = (60, 90, 160), (165, 180, 205)
_CHOSEN_M, _FAN_M = 0.012, 0.004
"""Thickness, metres."""


class PlanDrawing:
    """Lines of the last decision; hidden where there is no hand in space.

    Args:
        server: draws.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        nothing, grey = np.zeros((1, 2, 3), np.float32), np.zeros((1, 2, 3), np.uint8)
        add = server.scene.add_line_segments
        self._fan = add("/plan/fan", nothing, grey, thickness=_FAN_M, visible=False)
        self._chosen = add("/plan/chosen", nothing, grey, thickness=_CHOSEN_M, visible=False)

    def draw(self, outlook: Outlook | None, *, fan: bool = True) -> None:
        """Show a decision; None hides the last one."""
        show_fan = fan and outlook is not None and outlook.fan is not None
        if show_fan and outlook is not None and outlook.fan is not None:
            lines = segments(outlook.fan)
            worth = np.linspace(0, 1, len(outlook.fan))[:, None]
            colours = np.uint8(np.array(_BEST) * (1 - worth) + np.array(_OTHERS) * worth)
            each = np.repeat(colours, len(lines) // len(outlook.fan), axis=0)
            self._fan.points, self._fan.colors = lines, np.stack([each, each], axis=1)
        show = outlook is not None and outlook.hand is not None
        if show and outlook is not None and outlook.hand is not None:
            self._chosen.points = segments(outlook.hand[None])
            self._chosen.colors = _along(outlook, len(outlook.hand) - 1)
        for handle, visible in ((self._fan, show_fan), (self._chosen, show)):
            if handle.visible != visible:
                handle.visible = visible


def segments(paths: Float[ndarray, "F points 3"]) -> Float[ndarray, "n 2 3"]:
    """The straight pieces of paths, path after path."""
    pieces = np.stack([paths[:, :-1], paths[:, 1:]], axis=2).reshape(-1, 2, 3)
    return np.asarray(pieces, np.float32)


def shade(share: Float[ndarray, " n"]) -> UInt8[ndarray, "n 3"]:
    """Green for 0, amber for one half, red for 1."""
    stops = np.array([SURE, HALF, UNSURE], float)
    channels = [np.interp(share, [0.0, 0.5, 1.0], stops[:, i]) for i in range(3)]
    return np.asarray(np.stack(channels, axis=1), np.uint8)


def _along(outlook: Outlook, pieces: int) -> UInt8[ndarray, "n 2 3"]:
    share = np.zeros(pieces) if outlook.disagreement is None else outlook.disagreement
    colours = shade(share)
    before = np.concatenate([colours[:1], colours[:-1]])
    return np.stack([before, colours], axis=1)
