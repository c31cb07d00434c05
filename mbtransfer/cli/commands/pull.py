"""`mbtransfer pull`: fetch a model or dataset, whole and checked."""

from mbtransfer.config import PullConfig
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sharing.places import find_place
from mbtransfer.sharing.pull import pull


def run_pull(config: PullConfig, console: Terminal | None = None) -> None:
    """Pull into a new folder.

    Raises:
        UserError, ModelError: the folder is there already, or the source has nothing that is whole.
    """
    console = console or Terminal()
    card, checksum = pull(find_place(config.source), config.dir)
    figures = sum(len(measured.tasks) for measured in card.measurements)
    claims = f", {figures} measured figures" if card.kind == "model" else ""
    console.say(
        f"{config.dir}: {card.kind} {card.name} of {card.environment}, {len(card.files)} files of {card.size:,} bytes, "
        f"all as the card lists them{claims}; checksum of its card: {checksum}"
    )
