"""The server: robots over WebSocket, health and metrics over HTTP, on one port."""

import asyncio
import hmac
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.serve.messages import LARGEST, PROTOCOL, pack, read_observation, unpack
from mbtransfer.serve.robot import Robot
from mbtransfer.serve.service import Answer, Pending, PlanService

UNDER_WAY = 8
"""Messages of one robot that are answered at a time; further ones wait unread."""

_QUIET = logging.getLogger("mbtransfer.serve.transport")
"""What websockets would say of strangers who are no robots."""
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, eq=False)
class Heard:
    """A robot's message.

    Attributes:
        message: what it says; empty where it could not be read.
        begun: what has been begun, what is wrong with it, or None where all is still to be done.
    """

    message: dict[str, Any]
    begun: Pending | asyncio.Future[None] | Exception | None


class RobotServer:
    """Answers robots.

    Args:
        service: decides.
        say: called with a line of text when robots come and go.
        token: secret that robots and `/metrics` must bring; None for none.
    """

    def __init__(self, service: PlanService, say: Callable[[str], None], token: str | None = None) -> None:
        self._service, self._say, self._token = service, say, token
        self._server: Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Begin to answer, and say at which port; port 0 takes a free one.

        Raises:
            UserError: the port is taken, or the address is not this machine's.
        """
        try:
            # No browser may steer a robot, so whoever says that a page sent him is refused. Answers are small:
            # compression would cost more time than it saves.
            self._server = await serve(
                self._robot, host, port, process_request=self._http, origins=[None], compression=None,
                max_size=LARGEST, server_header=None, logger=_QUIET,
            )  # fmt: skip
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"port {port} of {host} cannot be had ({reason}); give another with --port"
            ) from error
        found: int = next(iter(self._server.sockets)).getsockname()[1]
        return found

    async def stop(self) -> None:
        """Let robots go and end."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def reload(self) -> None:
        """Change the model, and say what came of it."""
        try:
            self._say(f"model {await self._service.change_model()} plans from now on")
        except USER_ERRORS as error:
            self._say(f"the model stays: {error}")

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is no robot; None lets a robot in."""
        path = request.path.split("?")[0]
        if path == "/health":
            return _response(HTTPStatus.OK, json.dumps(self._health()).encode(), "application/json")
        if not self._trusted(request.headers):
            return _response(HTTPStatus.UNAUTHORIZED, b"the token is missing or wrong\n")
        if path == "/metrics":
            return _response(HTTPStatus.OK, self._service.metrics.text(), METRICS_TYPE)
        if path != "/":
            return _response(HTTPStatus.NOT_FOUND, b"there are /, /health and /metrics\n")
        return None

    def _trusted(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        given = headers.get_all("Authorization")
        asked = f"Bearer {self._token}".encode()
        return len(given) == 1 and hmac.compare_digest(given[0].encode(errors="surrogateescape"), asked)

    def _health(self) -> dict[str, Any]:
        loaded = self._service.loaded
        return {
            "status": "ok", "model": loaded.digest, "environment": loaded.context.environment.spec.name,
            "robots": len(self._service.robots),
        }  # fmt: skip

    async def _robot(self, connection: ServerConnection) -> None:
        """One robot, from its coming to its going."""
        robot, under_way = self._service.join(), set[asyncio.Task[None]]()
        self._say(f"robot {robot.number} has come")
        try:
            await self._service.begin(robot)
            await connection.send(pack(self._greeting(robot)))
            async for data in connection:
                # Beside each other: the time of an observation counts from its coming, and a goal that takes long
                # to be ready delays no action.
                work = asyncio.create_task(
                    self._one(connection, robot, self._heard(robot, data, perf_counter()))
                )
                under_way.add(work)
                work.add_done_callback(under_way.discard)
                if len(under_way) >= UNDER_WAY:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionClosed:
            pass
        except Exception as error:  # the server goes on for others
            self._say(f"error: robot {robot.number}: {self._complaint(error)['error']}")
        finally:
            for work in under_way:
                work.cancel()
            self._service.leave(robot)
            self._say(f"robot {robot.number} has gone ({connection.close_reason or connection.close_code})")

    def _heard(self, robot: Robot, data: bytes | str, came: float) -> Heard:
        """Read a message, and begin what must keep the order of the messages and cannot wait for a task's turn."""
        message: dict[str, Any] = {}
        try:
            message = unpack(data)
            if message["type"] == "observe":
                size = self._service.loaded.context.environment.spec.obs_size
                return Heard(message, self._service.observe(robot, read_observation(message, size), came))
            return Heard(message, self._service.reset(robot) if message["type"] == "reset" else None)
        except Exception as error:
            return Heard(message, error)

    async def _one(self, connection: ServerConnection, robot: Robot, heard: Heard) -> None:
        """Answer one message; whatever is wrong with it is told in one line."""
        answer: Answer | None = None
        try:
            if isinstance(heard.begun, Pending):
                answer = await self._service.answer(heard.begun)
                told = self._action(answer, heard.begun.came)
            else:
                told = await self._told(robot, heard)
        except Exception as error:
            told = self._complaint(error)
        with suppress(ConnectionClosed):
            await connection.send(pack(told | {"id": heard.message.get("id")}))
        if answer is not None and isinstance(heard.begun, Pending):  # the robot need not wait for bookkeeping
            self._service.count(answer, perf_counter() - heard.begun.came)

    async def _told(self, robot: Robot, heard: Heard) -> dict[str, Any]:
        kind = heard.message.get("type")
        if isinstance(heard.begun, Exception):
            raise heard.begun
        if kind == "goal":
            return {"type": kind, "goal": await self._service.pursue(robot, heard.message)}
        if isinstance(heard.begun, asyncio.Future):
            await heard.begun
            return {"type": kind}
        digest = await self._service.change_model()
        self._say(f"model {digest} plans from now on")
        return {"type": kind, "model": digest}

    def _complaint(self, error: Exception) -> dict[str, Any]:
        self._service.metrics.errors.inc()
        line = str(error)
        if not isinstance(error, USER_ERRORS):
            line = f"{type(error).__name__}: {error} (unexpected)"
            self._say(f"error: {line}")
        return {"type": "error", "error": line}

    def _greeting(self, robot: Robot) -> dict[str, Any]:
        """What a robot is told first."""
        loaded, watchdog = self._service.loaded, self._service.watchdog
        spec = loaded.context.environment.spec
        return {
            "type": "hello", "protocol": PROTOCOL, "robot": robot.number, "environment": spec.name,
            "model": loaded.digest, "control_dt": spec.control_dt, "deadline_ms": 1e3 * watchdog.deadline,
            "observation": [variable.name for variable in spec.observation],
            "action": [{"name": v.name, "low": v.low, "high": v.high} for v in spec.action],
            "safe_action": watchdog.safe.tolist(), "goal": robot.pursuit.asked.name if robot.pursuit else None,
        }  # fmt: skip

    def _action(self, answer: Answer, came: float) -> dict[str, Any]:
        """An answer to an observation, as docs/serve.md lists it."""
        verdict, decision, kept = answer.verdict, answer.decision, answer.kept
        proposal = None if decision is None else decision.proposal
        doubt = None if proposal is None or proposal.doubt is None else proposal.doubt.tolist()
        now = perf_counter()
        return {
            "type": "action", "action": verdict.action.tolist(), "safe": verdict.fault is not None,
            "fault": None if verdict.fault is None else verdict.fault.value, "why": verdict.why,
            "plan": kept.tail.tolist(), "plan_steps_old": kept.steps if len(kept.plan) else None,
            "plan_ms_old": 1e3 * (now - kept.came) if len(kept.plan) else None,
            "doubt": None if doubt is None else sum(doubt) / len(doubt), "doubt_along_plan": doubt,
            "goal": None if decision is None else decision.now, "done": decision is not None and decision.done,
            "decision_ms": None if decision is None else 1e3 * decision.seconds,
            "wait_ms": None if decision is None else 1e3 * decision.wait,
            "answer_ms": 1e3 * (now - came), "model": self._service.loaded.digest,
        }  # fmt: skip


def _response(status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> Response:
    headers = Headers([("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")])
    return Response(status.value, status.phrase, headers, body)
