"""The tables that tell what new episodes changed in a continued model."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from mbtransfer.runtime.terminal import Terminal


def show_changes(console: Terminal, changes: Mapping[str, Any]) -> None:
    """Print drift and errors by group of columns, and what each source task lost.

    Args:
        console: where to.
        changes: `mbtransfer.training.refresh.Refreshed.changes`.
    """
    episodes = changes["episodes"]
    console.say(
        f"{episodes['new']} new episodes, of which {episodes['held_out']} were held out; errors one step ahead, as a "
        "share of that of 'nothing moves'"
    )
    console.print(_groups(changes))
    if changes["tasks"]:
        console.say("source tasks: error on old transitions in which their fixtures move")
        console.print(_tasks(changes["tasks"]))
    drifted = [name for name, found in changes["drift"].items() if found["drifted"]]
    if not drifted:
        console.say("no drift was found")
        return
    console.say(
        f"drifted: {', '.join(drifted)}; if the world itself has changed, old transitions are wrong there: compare with "
        "a lower --replay"
    )


def _groups(changes: Mapping[str, Any]) -> Table:
    table = _table("90% covers", "p", "drifted", "new before", "after", "old before", "after", "lost")
    for name, errors in changes["groups"].items():
        drift, new, old = changes["drift"][name], errors["new"], errors["old"]
        p_value = "" if drift["p_value"] is None else f"{drift['p_value']:.2g}"
        cells = [_share(value) for value in (new["before"], new["after"], *old.values())]
        table.add_row(name, _share(drift["coverage"]), p_value, "yes" if drift["drifted"] else "no", *cells)
    return table


def _tasks(tasks: Mapping[str, Any]) -> Table:
    table = _table("transitions", "before", "after", "lost")
    for name, found in tasks.items():
        cells = [_share(found[when]) for when in ("before", "after", "lost")]
        table.add_row(name, f"{found['transitions']:,}", *cells)
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("", *headings):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
