"""A server in a thread of its own, with a model whose physics are known; not a test."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from typing import Any

from mbtransfer.evaluation.config import EvalConfig, EvalContext
from mbtransfer.model import Model
from mbtransfer.serve.client import RobotClient
from mbtransfer.serve.metrics import Metrics
from mbtransfer.serve.server import RobotServer
from mbtransfer.serve.service import PlanService
from mbtransfer.serve.watchdog import Watchdog, watchdog_of

SAFE = (0.25, 0.0, 0.0, 0.0)
TASK = "move(drawer, 0.2)"
DEADLINE = 60.0  # the machine may be busy
TOKEN = "a-token-of-a-good-length"


def context_of(model: Model) -> EvalContext:
    settings: dict[str, Any] = {"candidates": 8, "iterations": 1, "horizon": 4, "precision": "float32"}
    config = EvalConfig(model="none", reward="true", prepared=False, device="cpu", **settings)
    return EvalContext(config, model.environment, model, (), config.make_controller(model.environment, model))


class Running:
    """A server in a thread of its own."""

    def __init__(self, model: Model, *, token: str | None = None, most_doubt: float | None = None) -> None:
        self.model, self.told = model, list[str]()

        def watchdog(context: EvalContext) -> Watchdog:
            return watchdog_of(context.environment.spec, SAFE, DEADLINE, most_doubt)

        self.loop = asyncio.new_event_loop()
        self.service = PlanService(lambda: context_of(self.model), lambda context: (), watchdog, Metrics())
        self.server = RobotServer(self.service, self.told.append, token)
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self.do(self.server.start("127.0.0.1", 0))

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def robot(self, token: str | None = None) -> RobotClient:
        return RobotClient(self.address, token, patience=DEADLINE)

    def get(self, path: str, token: str | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    def stop(self) -> None:
        self.do(self.server.stop())
        self.service.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def seen(model: Model, row: int = 0) -> list[float]:
    found: list[float] = model.pool.obs[row].tolist()
    return found
