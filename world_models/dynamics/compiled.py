"""C compiled for the processor at hand, once, and loaded.

Needs a C compiler (`cc`, or what the variable CC names); without one everything runs in torch. The library is kept in
the user's cache folder, under the hash of its source, the compiler and the processor's instructions, and only one that
belongs to the user alone is loaded.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
"""Everything that makes loops fast and leaves what is not a number alone."""

SOURCE = "rollout.c"

PATIENCE = 60.0
"""Seconds that a compiler may take."""


def cache_folder() -> Path:
    """The user's own for mbtransfer, or what the variable MBTRANSFER_CACHE names."""
    named = os.environ.get("MBTRANSFER_CACHE")
    return Path(named) if named else user_cache_path("mbtransfer")


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The functions of `rollout.c`; None where they cannot be had: no compiler, or no folder to keep them in."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        return None
    source = files(__package__).joinpath(SOURCE).read_bytes()
    try:
        instructions = _run([*compiler, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
        key = hashlib.sha256(b"\0".join([source, *map(str.encode, FLAGS), instructions])).hexdigest()[:20]
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = folder / f"rollout-{key}.so"
        if not kept.exists():
            _build(compiler, source, kept)
        return ctypes.CDLL(str(kept)) if _is_own(kept) else None
    except (OSError, subprocess.SubprocessError):
        return None


def _build(compiler: list[str], source: bytes, kept: Path) -> None:
    """Compile under another name first: two processes may do so at once, and each may be killed."""
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        code, built = Path(folder, SOURCE), Path(folder, kept.name)
        code.write_bytes(source)
        _run([*compiler, *FLAGS, "-shared", "-fPIC", "-o", str(built), str(code), "-lm"])
        built.chmod(0o700)
        built.replace(kept)


def _run(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout


def _is_own(path: Path) -> bool:
    """Whether nobody else can have written it."""
    return all(
        about.st_uid == os.getuid() and not about.st_mode & 0o022
        for about in (path.stat(), path.parent.stat())
    )
