"""A robot's end of `mbtransfer serve`. Needs websockets and msgpack alone: copy this file to the robot's machine."""

from collections.abc import Sequence
from typing import Any

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class RobotClient:
    """One robot. `hello` holds what the server says of itself; every answer is a map that docs/serve.md explains.

    Args:
        address: the server's, such as `ws://127.0.0.1:8765`.
        token: where the server asks for one.
        patience: seconds without an answer after which `act` gives the safe action; None for two deadlines.
    """

    def __init__(self, address: str, token: str | None = None, patience: float | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self._socket = connect(address, additional_headers=headers, compression=None, proxy=None)
        self.hello: dict[str, Any] = msgpack.unpackb(self._socket.recv())
        self._number, self._patience = 0, patience or 2e-3 * self.hello["deadline_ms"]

    def act(self, obs: Sequence[float]) -> dict[str, Any]:
        """The answer to an observation; `answer["action"]` is what to do. A silent server is not waited for."""
        try:
            return self._ask({"type": "observe", "obs": [float(value) for value in obs]}, self._patience)
        except (TimeoutError, ConnectionClosed) as error:
            why = str(error) or f"no answer after {1e3 * self._patience:.0f} ms"
            safe = self.hello["safe_action"]
            return {"action": safe, "safe": True, "fault": "silent", "why": why, "done": False}

    def pursue(self, **goal: Any) -> dict[str, Any]:
        """Set a goal: `task="move(drawer, 0.2)"`, `recipe="breakfast"`, or one `step=2` of a recipe."""
        return self._ask({"type": "goal", **goal})

    def reset(self) -> dict[str, Any]:
        """Say that a new episode begins."""
        return self._ask({"type": "reset"})

    def reload(self) -> dict[str, Any]:
        """Let the server load its model again."""
        return self._ask({"type": "reload"})

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _ask(self, message: dict[str, Any], patience: float | None = None) -> dict[str, Any]:
        self._number += 1
        self._socket.send(msgpack.packb({**message, "id": self._number}))
        while True:  # answers that came too late for their question are passed over
            answer: dict[str, Any] = msgpack.unpackb(self._socket.recv(patience))
            if answer["id"] == self._number:
                break
        if answer["type"] == "error":
            raise ValueError(answer["error"])
        return answer
