"""Pulling: a model or dataset appears whole and checked, or not at all."""

import shutil
from pathlib import Path

from mbtransfer.data.dataset import Dataset
from mbtransfer.errors import USER_ERRORS, UserError
from mbtransfer.runtime.files import appearing
from mbtransfer.sharing.card import Card, read_card
from mbtransfer.sharing.contents import CARD, own_files
from mbtransfer.sharing.places import Place, refuse_existing


def pull(place: Place, folder: Path) -> tuple[Card, str]:
    """Fetch what a place holds into a new folder.

    Only files that the card lists and that a model or dataset can have are fetched, and all of them are read once:
    JSON and tensors, which run no code. Everything goes to a temporary folder beside the new one, which takes its name
    when all is there.

    Args:
        place: where it is.
        folder: must be new.

    Returns:
        The card and its checksum.

    Raises:
        UserError, ModelError: something is there already, or the place holds no model or dataset that is whole.
    """
    refuse_existing(folder)
    with appearing(folder, folder.absolute().parent) as made:
        try:
            return _fetch(place, made)
        except USER_ERRORS as error:  # the temporary folder is no name that a user knows
            raise UserError(str(error).replace(str(made), str(place))) from error


def _fetch(place: Place, folder: Path) -> tuple[Card, str]:
    place.get(CARD, folder / CARD, None)
    card, checksum = read_card(folder)
    free = shutil.disk_usage(folder).free
    if card.size > free:
        raise UserError(f"{card.size:,} bytes are to be pulled, and only {free:,} are free")
    for name, record in card.files.items():
        place.get(name, folder / name, record)
    check_whole(folder, card)
    return card, checksum


def check_whole(folder: Path, card: Card) -> None:
    """See that the files are those of a model or dataset that can be read, and no others.

    Raises:
        UserError, ModelError: they are not.
    """
    listed = set(own_files(folder, card.kind))
    if missing := sorted(listed - card.files.keys()):
        raise UserError(f"the card does not list {missing[0]}, which belongs to the {card.kind}")
    if card.kind == "dataset" and (digest := Dataset.open(folder, verify=False).digest) != card.digest:
        raise UserError(f"the card is of other data: {card.digest[:16]}, not {digest[:16]}")
