"""What was measured as a table: in the terminal, and in Markdown."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.planner_table.budgets import BUDGETS, rows_for
from mbtransfer.evaluation.statistics import wilson_interval

TITLES = {
    "kitchen": "Kitchen, learned dynamics and learned reward heads",
    "cartpole": "dm_control cartpole swingup, true simulator",
    "walker": "dm_control walker walk, true simulator",
}


def show(found: dict[str, Any], console: Console) -> None:
    """Print a table for each world that was measured."""
    for name in _measured(found):
        table = Table(title=TITLES[name], box=box.SIMPLE_HEAD, pad_edge=False)
        rows = list(_rows(found, name))
        for i, heading in enumerate(_headings(name)):
            table.add_column(heading, justify="left" if i < 2 else "right", no_wrap=True)
        for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
            table.add_row(*row, end_section=row[0] != following[0])
        console.print(table)
        console.print(_protocol(found, name), highlight=False)


def as_markdown(found: dict[str, Any]) -> str:
    """The same for the docs."""
    parts = []
    for name in _measured(found):
        headings = _headings(name)
        lines = [f"| {' | '.join(cells)} |" for cells in _rows(found, name)]
        rule = "|---|---|" + "---:|" * (len(headings) - 2)
        head = f"| {' | '.join(headings)} |"
        parts += [f"### {TITLES[name]}", "\n".join([head, rule, *lines]), _protocol(found, name)]
    return "\n\n".join(parts)


def _measured(found: dict[str, Any]) -> list[str]:
    return [name for name in TITLES if name in found["worlds"]]


def _headings(world: str) -> list[str]:
    judged = ["tasks", "chains", "steps", "return"] if world == "kitchen" else ["return", "from, to"]
    return ["budget", "planner", "plans", *judged, "p50 ms", "p99 ms"]


def _rows(found: dict[str, Any], world: str) -> Iterator[list[str]]:
    """The budgets outermost: planners are compared at the same one."""
    for budget in BUDGETS:
        for row in rows_for(True):
            cell = found["cells"].get(f"{world}/{row}/{budget}")
            if cell is not None:
                times = [f"{cell['plan_ms'][p]:.1f}" for p in ("p50", "p99")]
                yield [budget, row, str(cell["plans"]), *_judged(cell), *times]


def _judged(cell: dict[str, Any]) -> list[str]:
    returns = cell["returns"]
    mean = sum(returns) / len(returns)
    if cell["success"]:
        done, of = cell["steps"]
        shares = [_share(*counts) for counts in cell["success"].values()]
        return [*shares, f"{done / of:.2f}", f"{mean:.1f}"]
    return [f"{mean:.0f}", f"{min(returns):.0f}, {max(returns):.0f}"]


def _share(done: int, episodes: int) -> str:
    low, high = wilson_interval(done, episodes)
    return f"{done / episodes:.2f} [{low:.2f}, {high:.2f}]"


def _protocol(found: dict[str, Any], world: str) -> str:
    how, machine = found["worlds"][world], found["machine"]
    runs = how["episodes"] * len(how["seeds"])
    if world == "kitchen":
        chains = sum(name.startswith("chain-") for name in how["asked"])
        what = (
            f"{len(how['asked']) - chains} source tasks and {chains} random chains of three to six of them, "
            f"{len(how['models'])} model(s), {runs} episodes of each per model. Success with Wilson's 95% interval; "
            "steps are the share of the chains' steps that were done; the return is the sum of true rewards of a "
            "task, which ends when it is done: nearer to zero is quicker."
        )
    else:
        what = (
            f"{runs} episodes of {how['steps']} control steps, scaled to dm_control's 1,000: returns from 0 to "
            "1,000 that contain the way up from the start. No gradient, no hybrid: the simulator is not "
            "differentiable."
        )
    used = ", ".join(f"{name} {value}" for name, value in machine.items())
    return f"{what} Latency is that of one episode on one thread; {used}."
