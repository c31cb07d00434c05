"""Pushing: a model or dataset goes to a place together with its card."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mbtransfer.sharing.card import Card, write_card
from mbtransfer.sharing.contents import CARD, PAGE, content_record, file_record
from mbtransfer.sharing.page import page
from mbtransfer.sharing.places import Place
from mbtransfer.sharing.verify import check_card


def push(folder: Path, card: Card, place: Place) -> tuple[str, str]:
    """Put a model or dataset and its card somewhere.

    Args:
        folder: of the model or dataset; it stays as it is.
        card: what to say of it, and which files.
        place: where to put it.

    Returns:
        Where it is, and the checksum of the card.

    Raises:
        UserError: it cannot be put there, or a file has changed since the card was made.
    """
    with TemporaryDirectory(prefix="mbtransfer-card-") as made:
        text = page(card).encode()
        (Path(made) / PAGE).write_bytes(text)
        whole = replace(card, files=card.files | {PAGE: content_record(text)})
        checksum = write_card(Path(made) / CARD, whole)
        files = {name: folder / name for name in card.files}
        files |= {name: Path(made) / name for name in (PAGE, CARD)}
        records = whole.files | {CARD: file_record(Path(made) / CARD)}
        return place.put(card.kind, files, records), checksum


def push_again(folder: Path, place: Place) -> tuple[str, str]:
    """Put what was pulled somewhere else, with the card that it has.

    Raises:
        UserError: the card or a file was changed, or it cannot be put there.
    """
    card, checksum = check_card(folder)
    names = [*card.files, CARD]
    records = card.files | {CARD: file_record(folder / CARD)}
    return place.put(card.kind, {name: folder / name for name in names}, records), checksum
