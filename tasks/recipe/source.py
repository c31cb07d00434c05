"""Reads a recipe file as text: small, regular, UTF-8; nothing else is opened."""

from pathlib import Path

from tasks.errors import TaskError
from tasks.recipe.nodes import one_line

MAX_BYTES = 64 * 1024


def read_source(path: Path) -> str:
    """The text of a recipe file.

    Args:
        path: A regular file of at most `MAX_BYTES` bytes, UTF-8, with or without a byte order mark.

    Raises:
        TaskError: If the file is missing, is no regular file, cannot be read, is too large or is not UTF-8.
    """
    shown = one_line(str(path))
    try:
        # A named pipe or a device would block or never end: only regular files are opened.
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise TaskError(f"{shown}:1: {what}; give a recipe file (.yaml) or the name of a shipped recipe")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = one_line(error.strerror or str(error))
        raise TaskError(f"{shown}:1: cannot be read ({reason}); give a readable recipe file") from error
    return decode(data, shown)


def decode(data: bytes, shown: str) -> str:
    """`data` as text.

    Raises:
        TaskError: If there are more than `MAX_BYTES` bytes, or a byte is not UTF-8 (with its line).
    """
    if len(data) > MAX_BYTES:
        raise TaskError(f"{shown}:1: larger than {MAX_BYTES // 1024} KiB; a recipe is a short text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskError(f"{shown}:{line}: not UTF-8; save it as UTF-8") from error
