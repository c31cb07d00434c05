"""`mbtransfer live`: a page in the browser in which the robot moves."""

import signal
from typing import TYPE_CHECKING

from mbtransfer.config import LiveConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.runtime.environment import installed, threads
from mbtransfer.runtime.terminal import Terminal

if TYPE_CHECKING:
    from mbtransfer.live.page import LivePage
    from mbtransfer.live.replay_page import ReplayPage

_LOOPBACK = ("127.0.0.1", "localhost")


def run_live(config: LiveConfig, console: Terminal | None = None) -> None:
    """Show the page until Ctrl-C.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong, viser is missing, or the port is taken.
    """
    console = console or Terminal()
    if config.host not in _LOOPBACK:
        raise UserError(
            f"--host {config.host}: whoever reaches the page steers the robot, so it answers this machine alone; "
            f"from another one use ssh -L {config.port}:localhost:{config.port} THIS_MACHINE"
        )
    if not installed("viser"):
        raise UserError("mbtransfer live needs viser: pip install 'mbtransfer[live]'")
    with threads(config.threads or 1):
        page = _page(config, EvalConfig.from_flags(config).resolve())
        page.start()
        console.say(f"http://{config.host}:{config.port} shows {page.shows}; Ctrl-C ends it")
        try:
            while True:
                signal.pause()
        finally:
            page.stop()


def _page(config: LiveConfig, context: EvalContext) -> "LivePage | ReplayPage":
    from mbtransfer.live.page import LivePage, open_server
    from mbtransfer.live.replay import Replay
    from mbtransfer.live.replay_page import ReplayPage
    from mbtransfer.live.session import LiveSession

    controller, cameras = context.controller, (*context.environment.cameras, "")
    if config.replay is None:
        session = LiveSession(context, config.seed)
        return LivePage(open_server(config.port), context, session, config.out)
    if controller.scene.live or context.model is None:
        raise UserError(f"{controller.environment.spec.name} has no pictures that could be replayed")
    replay, ahead = (
        Replay(context.model, controller.scene, config.replay),
        int(controller.settings["horizon"]),
    )
    return ReplayPage(open_server(config.port), replay, controller.scene, cameras[0], ahead)
