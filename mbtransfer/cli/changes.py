"""The tables that tell what new episodes changed in a continued model."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from mbtransfer.runtime.terminal import Terminal, plain_table


def show_changes(console: Terminal, changes: Mapping[str, Any]) -> None:
    """Print drift and errors by group of columns, and what each source task lost.

    Args:
        console: where to.
        changes: `mbtransfer.training.refresh.Refreshed.changes`.
    """
    episodes = changes["episodes"]
    console.say(f"{episodes['new']} new episodes: does the old model's 90% interval still hold?")
    console.print(_drift(changes["drift"]))
    console.say(
        f"error one step ahead, as a share of that of 'nothing moves'; new: {episodes['held_out']} held-out episodes, "
        "old: a fifth of the model's pool, not replayed"
    )
    console.print(_groups(changes["groups"]))
    if changes["tasks"]:
        console.say("source tasks: error on old transitions in which their fixtures move")
        console.print(_tasks(changes["tasks"]))
    drifted = [name for name, found in changes["drift"].items() if found["drifted"]]
    if not drifted:
        console.say("no drift was found")
        return
    console.say(
        f"drifted: {', '.join(drifted)}; if the world itself has changed, old transitions are wrong there: compare "
        "with a lower --replay"
    )


def _drift(groups: Mapping[str, Any]) -> Table:
    table = plain_table("covers", "p", "drifted")
    for name, found in groups.items():
        p_value = "" if found["p_value"] is None else f"{found['p_value']:.2g}"
        table.add_row(name, _share(found["coverage"]), p_value, "yes" if found["drifted"] else "no")
    return table


def _groups(groups: Mapping[str, Any]) -> Table:
    table = plain_table("new before", "new after", "old before", "old after", "lost")
    for name, errors in groups.items():
        new, old = errors["new"], errors["old"]
        values = (new["before"], new["after"], old["before"], old["after"], old["lost"])
        table.add_row(name, *map(_share, values))
    return table


def _tasks(tasks: Mapping[str, Any]) -> Table:
    table = plain_table("transitions", "before", "after", "lost")
    for name, found in tasks.items():
        cells = [_share(found[when]) for when in ("before", "after", "lost")]
        table.add_row(name, f"{found['transitions']:,}", *cells)
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
