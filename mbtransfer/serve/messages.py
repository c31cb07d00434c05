"""The messages between a robot and the server: maps in msgpack, one per WebSocket message; see docs/serve.md."""

from typing import Any

import msgpack
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.errors import UserError

PROTOCOL = 1
"""Version of the messages; told to every robot that connects."""

LARGEST = 1 << 20
"""Bytes of the largest message that is read."""

KINDS = ("goal", "observe", "reset", "reload")


def pack(message: dict[str, Any]) -> bytes:
    """A message as bytes."""
    packed: bytes = msgpack.packb(message)
    return packed


def unpack(data: bytes | str) -> dict[str, Any]:
    """A robot's message; its `type` is one of `KINDS`.

    Raises:
        UserError: it is none.
    """
    if isinstance(data, str):
        raise UserError("a message is a map in msgpack, in a binary frame; this is text")
    try:
        message = msgpack.unpackb(data)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise UserError("a message is a map in msgpack; this is none") from error
    if not isinstance(message, dict) or message.get("type") not in KINDS:
        raise UserError(f"a message is a map whose type is one of {', '.join(KINDS)}")
    return message


def read_observation(message: dict[str, Any], size: int) -> Float[ndarray, " O"]:
    """The observation of a message: so many numbers, finite or not, in the order of the environment's columns.

    Raises:
        UserError: other than that.
    """
    values = message.get("obs")
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise UserError("an observation is a list of numbers, under `obs`")
    if len(values) != size:
        raise UserError(f"the observation has {len(values)} values; the model knows {size} columns")
    with np.errstate(over="ignore"):  # what is beyond float32 is not finite
        found: Float[ndarray, " O"] = np.array(values, np.float64).astype(np.float32)
    return found
