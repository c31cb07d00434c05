"""Standard streams in any state, and text made safe to print."""

import codecs
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TextIO

PLAIN = str.maketrans("→–—×✔✘█░…≥≤⚠", ">--x+x#....!")
"""What stands in for our signs where an encoding has none of them; of one width, so that tables stay straight."""

_HANDLER = "mbtransfer.plain"


def prepare_streams() -> None:
    """Let whatever is printed be printed as well as it can be.

    A closed standard stream is opened to nothing, else the next file that is opened would take its place, and what
    is printed would land in that file.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(null, True)  # what we start has the same need
    os.close(null)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def full(stream: TextIO) -> bool:
    """Whether a stream can take no more; what waits for it is dropped then."""
    try:
        stream.flush()
    except OSError:
        drop(stream)
        return True
    return False


def drop(stream: TextIO) -> None:
    """Let all that waits for a stream and is still to come go nowhere, else Python complains of it in the end."""
    with suppress(OSError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _replacement(error: UnicodeError) -> tuple[bytes, int]:
    """What cannot be encoded: a plain sign, or of a name that was not decoded either its own bytes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    piece = error.object[error.start : error.end].translate(PLAIN)
    return b"".join(sign.encode("ascii", _way(sign)) for sign in piece), error.end


def _way(sign: str) -> str:
    return "surrogateescape" if "\udc80" <= sign <= "\udcff" else "replace"


codecs.register_error(_HANDLER, _replacement)


_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters with no shape of their own: control, format, surrogate, line, paragraph."""


def printable(text: str) -> str:
    r"""`text` with control, format and escape characters written as `\x1b` or `\u202e`; line breaks stay."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if char != "\n" and unicodedata.category(char) in _UNSEEN
        else char
        for char in text
    )


def single_line(text: str) -> str:
    r"""The same, and line breaks are written as `\n`, so that a name cannot pretend to be the next line."""
    return printable(text).replace("\n", r"\n")


def say(*lines: str, error: bool = False) -> None:
    """Print lines on standard output, or on standard error, where nobody need be able to read them."""
    stream = sys.stderr if error else sys.stdout
    try:
        for line in lines:
            print(single_line(line), file=stream, flush=error)
    except OSError:
        if not error:
            raise
        drop(stream)
