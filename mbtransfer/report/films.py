"""Videos and film strips, put into the page itself."""

import base64
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from mbtransfer.report.material import MEDIA, Material, MissingPart

LARGEST = 16 * 2**20
"""Bytes of one film or strip; larger ones would make the page hard to open."""
KINDS = {
    ".mp4": ("video/mp4", slice(4, 8), b"ftyp"),
    ".png": ("image/png", slice(0, 8), b"\x89PNG\r\n\x1a\n"),
}
"""Per suffix its media type, and where in a file which bytes prove that it is one."""


@dataclass(frozen=True)
class Film:
    """What was filmed of one task or recipe: data URIs, or None; `result` says how often it succeeded."""

    name: str
    result: str
    video: Markup | None
    strip: Markup | None


def films(material: Material, results: dict[str, str], recipes: set[str]) -> tuple[list[Film], list[str]]:
    """The films in `media/`, recipes first, and a sentence for each file left out.

    Args:
        results: per name what to say about its success.
        recipes: names of the recipes.
    """
    if MEDIA in material.absent:
        raise MissingPart("This folder has no media: nothing was filmed, or there was no renderer.")
    paths = [path for path in (material.directory / MEDIA).glob("*") if path.suffix in KINDS]
    left_out: list[str] = []
    uris = {path.name: _uri(path, left_out) for path in sorted(paths)}
    names = sorted({path.stem for path in paths}, key=lambda name: (name not in recipes, name))
    shown = [
        Film(name, results.get(name, ""), uris.get(f"{name}.mp4"), uris.get(f"{name}.png")) for name in names
    ]
    shown = [film for film in shown if film.video or film.strip]
    if not shown and not left_out:
        raise MissingPart("The media folder is empty: nothing was filmed, or there was no renderer.")
    return shown, left_out


def _uri(path: Path, left_out: list[str]) -> Markup | None:
    """The file as a data URI; None, and a sentence in `left_out`, when it cannot be shown."""
    mime, where, magic = KINDS[path.suffix]
    try:
        data = path.read_bytes()
    except OSError as error:
        left_out.append(f"{path.name} is left out: {error.strerror}.")
        return None
    if data[where] != magic:
        left_out.append(f"{path.name} is left out: it is not a finished {path.suffix[1:].upper()} file.")
    elif len(data) > LARGEST:
        left_out.append(f"{path.name} is left out: it is larger than {LARGEST // 2**20} MB.")
    else:
        return Markup(f"data:{mime};base64,") + base64.b64encode(data).decode()
    return None
