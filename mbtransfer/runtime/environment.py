"""Package versions and thread settings that results depend on."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from mbtransfer import __version__
from world_models.dynamics.kernels import processor
from world_models.dynamics.native import in_c

PACKAGES = ("torch", "mujoco", "dm-control", "numpy")
"""Packages whose versions are noted: numbers may differ with others."""


def versions() -> dict[str, str | None]:
    """Of mbtransfer and of these packages; None for one that is not installed."""
    return {"mbtransfer": __version__, **{name: _version(name) for name in PACKAGES}}


def machine() -> list[str]:
    """Packages, processor and GPU in lines, as a bug report wants them."""
    packages = [
        f"{name} {found or 'not installed'}" for name, found in versions().items() if name != "mbtransfer"
    ]
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 cannot tell
    units = [name for name, there in sorted(capabilities.items()) if there is True and "bf16" in name]
    about = [*processor().values(), *units, f"{os.cpu_count()} cores"]
    engine = f"roll-outs in C: {', '.join(in_c()) or 'no (no C compiler, or an old processor)'}"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return [
        f"Python {platform.python_version()}, {', '.join(packages)}",
        f"{platform.platform()}; {', '.join(about)}; {gpu}",
        engine,
    ]


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(package) is not None
    except ValueError:  # it is blocked
        return False


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run torch with so many threads: sums over several differ in the last bit; workers share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
