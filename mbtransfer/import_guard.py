"""Check that `tasks`, `world_models` and `planners` are those of this distribution.

Other distributions install top-level packages of these names too. They can stand before ours on the import
path, or overwrite ours in the same folder; either way the first sign would be a baffling error much later.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "mbtransfer"
SIBLINGS = ("tasks", "world_models", "planners")
HOME = Path(__file__).resolve().parent.parent


def verify(home: Path = HOME, names: tuple[str, ...] = SIBLINGS) -> None:
    """Check that each sibling package is the one that came with mbtransfer; imports none of them.

    Args:
        home: the folder that holds `mbtransfer` and must hold its siblings; symlinks are followed.
        names: the top-level packages to check.

    Raises:
        ImportError: a package of that name comes from elsewhere, is missing, or was overwritten by another
            distribution. Its `name` and `path` say which and where, its message also what to do.
    """
    home = home.resolve()
    for name in names:
        found = locate(name)
        if found is None:
            _refuse(name, home / name, f"`{name}` is missing beside {home / 'mbtransfer'}. {_reinstall()}")
        elif found == home / name:
            _refuse(name, found, f"`{name}` has no __init__.py in {found}. {_reinstall()}")
        elif found != (home / name / "__init__.py").resolve():
            _refuse(name, found, _displaced(name, found, home))
        elif owner := _overwriter(found, home):
            _refuse(name, found, f"{found} was overwritten by the distribution `{owner}`. {_separate(owner)}")


def locate(name: str) -> Path | None:
    """Where `import name` gets, or already got, its package from: the file, symlinks followed.

    Returns:
        The `__init__.py` of a package, the file of a module, the folder of a package without `__init__.py`,
        or None where there is nothing of that name.
    """
    module = sys.modules.get(name)
    if module is not None:
        origin, folders = getattr(module, "__file__", None), getattr(module, "__path__", ())
    else:
        spec = importlib.util.find_spec(name)
        origin, folders = (spec.origin, spec.submodule_search_locations or ()) if spec else (None, ())
    places = [origin, *folders]
    return next((Path(place).resolve() for place in places if place), None)


def _refuse(name: str, path: Path, message: str) -> None:
    raise ImportError(f"mbtransfer: {message}", name=name, path=str(path))


def _displaced(name: str, found: Path, home: Path) -> str:
    intruder = found.parent if found.name == "__init__.py" else found
    ours = home / name
    if not (ours / "__init__.py").is_file():
        return f"`{name}` comes from {intruder}, and mbtransfer's own is missing at {ours}. {_reinstall()}"
    return (
        f"`{name}` comes from {intruder}, but mbtransfer needs its own at {ours}. Rename or uninstall the "
        f"other one, or take {intruder.parent} off the import path (PYTHONPATH, the folder you start from)."
    )


def _overwriter(file: Path, home: Path) -> str | None:
    """The distribution that wrote over `file` of an installed wheel, if one did."""
    ours = next(iter(metadata.distributions(name=DISTRIBUTION, path=[str(home)])), None)
    if ours is None:  # a checkout or an editable install: nothing else is installed into that folder
        return None
    wanted = _hashes(ours).get(file)
    if wanted is None or _digest(file) == wanted:
        return None
    others = (other for other in metadata.distributions(path=[str(home)]) if other.name != ours.name)
    return next((other.name for other in others if file in _hashes(other)), None)


def _hashes(distribution: metadata.Distribution) -> dict[Path, str]:
    return dict(_recorded(distribution))


def _recorded(distribution: metadata.Distribution) -> Iterator[tuple[Path, str]]:
    for file in distribution.files or ():
        if file.hash is not None and file.name == "__init__.py" and len(file.parts) == 2:
            yield Path(str(file.locate())).resolve(), file.hash.value


def _digest(file: Path) -> str:
    """SHA-256 as a wheel's RECORD writes it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()


def _reinstall() -> str:
    return f"Reinstall it: python -m pip install --force-reinstall --no-deps {DISTRIBUTION}"


def _separate(owner: str) -> str:
    return f"The two cannot share an environment: uninstall `{owner}`, then reinstall {DISTRIBUTION}."
