"""The versions that results depend on."""

from importlib.metadata import PackageNotFoundError, version

from mbtransfer import __version__

PACKAGES = ("torch", "mujoco", "dm-control", "numpy")
"""Packages whose versions are noted: numbers may differ with others."""


def versions() -> dict[str, str | None]:
    """Of mbtransfer and of these packages; None for one that is not installed."""
    return {"mbtransfer": __version__, **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
