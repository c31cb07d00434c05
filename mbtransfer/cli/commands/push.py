"""`mbtransfer push`: put a model or dataset in a folder or on the Hub, with a card that says what was measured."""

import re

from mbtransfer.config import PushConfig
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sharing.contents import CARD, kind_of
from mbtransfer.sharing.describe import dataset_card, model_card
from mbtransfer.sharing.places import find_place
from mbtransfer.sharing.push import push, push_again

LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
"""Identifiers of licences as the Hub has them, such as mit, apache-2.0 or cc-by-4.0."""


def run_push(config: PushConfig, console: Terminal | None = None) -> None:
    """Write the card and put everything in its place.

    Raises:
        UserError, TaskError, ModelError: the folder, the results or the target cannot be used.
    """
    console = console or Terminal()
    if config.licence is not None and not LICENCE.fullmatch(config.licence):
        raise UserError(
            f"--licence {config.licence!r} is no identifier of a licence such as mit or cc-by-4.0"
        )
    kind, place = kind_of(config.dir), find_place(config.target, public=config.public)
    asked = config.results or config.data
    if kind == "dataset" and asked:
        raise UserError("a dataset has no --results and no --data: its card says what it holds")
    place.check(kind)
    if (config.dir / CARD).exists() and not asked and config.licence is None:
        where, checksum = push_again(config.dir, place)
    else:
        name = config.name or config.dir.resolve().name
        if kind == "dataset":
            card = dataset_card(config.dir, name, config.licence)
        else:
            model = Model.load(config.dir, device=config.device, trust_code=config.trust_code)
            card = model_card(
                config.dir, model, name, config.licence, results=config.results, data=config.data,
                check=config.check, say=console.say,
            )  # fmt: skip
        where, checksum = push(config.dir, card, place)
    console.say(f"pushed the {kind} to {where}; checksum of its card: {checksum}")
