"""`mbtransfer serve`: plan for robots that send observations and get actions."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from mbtransfer.config import ServeConfig
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.evaluation.task_selection import select_tasks
from mbtransfer.runtime.environment import installed, threads
from mbtransfer.runtime.signals import SIGNALS, Stopped
from mbtransfer.runtime.terminal import Terminal
from tasks.recipe import Recipe
from tasks.task import Task

TOKEN = "MBTRANSFER_TOKEN"
"""Environment variable that holds the secret of robots: command lines can be read by everybody on a machine."""

SHORTEST = 16
"""Characters of the shortest token."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PACKAGES = ("websockets", "msgpack", "prometheus_client")

SWITCH = 0.0005
"""Seconds after which the planning thread lets the server's thread have the interpreter. Python's own 5 ms would be
as long as a decision."""


def run_serve(config: ServeConfig, console: Terminal | None = None) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the input is wrong, a package is missing, or the port is taken.
    """
    console = console or Terminal()
    token = _token(config.host)
    missing = [name for name in _PACKAGES if not installed(name)]
    if missing:
        raise UserError(f"mbtransfer serve needs {' and '.join(missing)}: pip install 'mbtransfer[serve]'")
    from mbtransfer.serve.event_loop import run

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with threads(config.threads or 1):
            run(_serve(config, token, console))
    finally:
        sys.setswitchinterval(before)


async def _serve(config: ServeConfig, token: str | None, console: Terminal) -> None:
    from mbtransfer.serve.metrics import Metrics
    from mbtransfer.serve.server import RobotServer
    from mbtransfer.serve.service import PlanService
    from mbtransfer.serve.watchdog import Watchdog, watchdog_of

    def given(context: EvalContext) -> Sequence[Task | Recipe]:
        if not (config.tasks or config.recipes):
            return ()
        return select_tasks(
            context.environment, tasks=config.tasks, recipes=config.recipes, own=context.own_tasks
        )

    def watchdog(context: EvalContext) -> Watchdog:
        deadline = None if config.deadline_ms is None else config.deadline_ms / 1e3
        return watchdog_of(context.environment.spec, config.safe_action, deadline, config.most_doubt)

    settings = EvalConfig.from_flags(config)
    service = PlanService(
        settings.resolve, given, watchdog, Metrics(), seed=config.seed, threads=config.threads or 1
    )
    server = RobotServer(service, console.say, token)
    try:
        port = await server.start(config.host, config.port)
        loop, reloads = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        end: asyncio.Queue[int] = asyncio.Queue()
        with suppress(NotImplementedError, RuntimeError):  # another thread than the main one
            loop.add_signal_handler(signal.SIGUSR1, lambda: reloads.add(loop.create_task(server.reload())))
            for sign in SIGNALS:  # between two pieces of work, not in the middle of one
                loop.add_signal_handler(sign, end.put_nowait, sign)
        environment = service.loaded.context.environment.spec.name
        where = f"[{config.host}]" if ":" in config.host else config.host
        console.say(f"ws://{where}:{port} plans for robots in {environment}; Ctrl-C ends it")
        raise Stopped(await end.get())
    finally:
        await server.stop()
        service.close()


def _token(host: str) -> str | None:
    """The secret that robots must bring.

    Raises:
        UserError: other machines could reach the server, and there is no token; or it is too short.
    """
    token = os.environ.get(TOKEN, "")
    if not token and host not in _LOOPBACK:
        raise UserError(
            f"--host {host}: whoever reaches the port steers the robot, so a token is needed; set {TOKEN}, "
            f"for example by export {TOKEN}=$(openssl rand -hex 16)"
        )
    if token and (len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise UserError(f"{TOKEN} must have at least {SHORTEST} plain characters and no blanks")
    return token or None
