"""`mbtransfer verify`: run what a card claims again."""

import secrets
from typing import Any

from rich import box
from rich.table import Table

from mbtransfer.config import VerifyConfig
from mbtransfer.errors import ClaimError, UserError
from mbtransfer.runtime.executors import make_engine
from mbtransfer.runtime.files import check_writable, write_json
from mbtransfer.runtime.terminal import Terminal, styled
from mbtransfer.sharing.agreement import LEVEL
from mbtransfer.sharing.verify import Again, Wanted, as_dict, check_card, measure_again

MOST_SEED = 2**31
"""New seeds are drawn below this."""


def run_verify(config: VerifyConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Check the files, measure again, and print a table.

    Returns:
        The content of the `--json` file.

    Raises:
        ClaimError: a figure is outside.
        UserError, TaskError, ModelError, PlannerError: the card or a file was edited, or cannot be run here.
    """
    console = console or Terminal()
    check_writable(config.json)
    card, checksum = check_card(config.dir)
    if config.card is not None and not checksum.startswith(config.card.lower()):
        raise UserError(
            f"the card's checksum is {checksum}, not {config.card}: it is another card than you expect"
        )
    console.say(f"{len(card.files)} files are as the card lists them; checksum of the card: {checksum}")
    wanted = Wanted(config.tasks, config.episodes, _first_seed(config.seeds), config.recipes)
    if not wanted.of(card):
        console.say(f"the card of this {card.kind} claims no figures")
    if wanted.first_seed is not None:
        console.say(f"seeds from {wanted.first_seed} on; --seeds {wanted.first_seed} measures the same again")
    figures, unrun = measure_again(
        config.dir, card, wanted, workers=make_engine(config.engine, config.workers, config.address),
        rows=config.out, console=console, device=config.device, threads=config.threads or 1,
        task_file=None if config.task_file is None else str(config.task_file), trust_code=config.trust_code,
    )  # fmt: skip
    found = as_dict(figures, unrun, checksum)
    if figures:
        console.print(_table(figures))
    for line in unrun:
        console.say(styled(("not run", "bold yellow"), f" {line}"))
    if config.json is not None:
        write_json(config.json, found)
    if outside := [one.name for one in figures if one.outside]:
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        names = ", ".join(outside[:3]) + more
        raise ClaimError(
            f"{len(outside)} of {len(figures)} figures are outside of what the card claims: {names}"
        )
    if figures:
        console.say(
            f"all {len(figures)} figures are inside, at a level of {LEVEL:.0%} over all of them together"
        )
    return found


def _first_seed(text: str) -> int | None:
    if text == "card":
        return None
    if text == "new":
        return secrets.randbelow(MOST_SEED)
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise UserError(f"--seeds {text!r} is none of card, new, or the first of new seeds such as 500")


def _table(figures: list[Again]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("claimed", "95% interval", "again", "episodes", "p", "inside from"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for one in figures:
        digits = 3 if one.measure == "success" else 1
        low, high = one.claimed_ci95
        verdict = (
            ("outside", "bold red") if one.outside else ("inside" if one.p is not None else "too few", "")
        )
        table.add_row(
            one.name, f"{one.claimed:.{digits}f}", f"{low:.{digits}f}–{high:.{digits}f}", f"{one.found:.{digits}f}",
            str(one.episodes), "–" if one.p is None else f"{one.p:.2g}",
            "–" if one.lowest is None else f"{one.lowest:.2f}", styled(verdict),
        )  # fmt: skip
    return table
