"""Which processor tensors live on."""

import torch

from mbtransfer.errors import UserError


def resolve_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    Raises:
        UserError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or not (number or "0").isdecimal():
        raise UserError(f"no device {name!r}; there are auto, cpu, cuda and cuda:N")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or "0") >= there:
        raise UserError(f"this machine has no device {name}; use auto or cpu")
    return torch.device(name)
