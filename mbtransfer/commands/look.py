"""Tables of a closer look at a dataset: quantiles, fixtures, rewards."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mbtransfer.report.terminal import DASH

SPARKS = "▁▂▃▄▅▆▇█"


def print_look(found: Mapping[str, Any], console: Console) -> None:
    """Print what `mbtransfer.survey.look` adds to the description of a dataset, where it is there."""
    if found.get("fixtures"):
        console.print(_fixtures(found["fixtures"]))
    if found.get("rewards"):
        console.print(_rewards(found["rewards"]))
    if found.get("paid"):
        paid = found["paid"]
        line = f"rewards that came with {paid['episodes']:,} episodes: {paid['mean']:.3g} per control step, "
        console.print(
            f"{line}highest {paid['max']:.3g}, mean return {paid['return_mean']:.3g}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if 0 < found.get("sample", 0) < found["steps"]:
        what = f"quantiles and rewards are those of a sample of {found['sample']:,} control steps"
        console.print(what, highlight=False, soft_wrap=True, style="dim")


def _fixtures(fixtures: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("fixture", "where in its range it moved", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("parts moved in", "of all steps"):
        table.add_column(heading, justify="right")
    for name, fixture in fixtures.items():
        shares = f"{100 * fixture['range_moved']:.0f}%", f"{100 * fixture['moved']:.1f}%"
        table.add_row(Text(name, "bold"), Text(_sparks(fixture["parts"]), "green"), *shares)
    return table


def _rewards(rewards: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("task", "split", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("mean reward", "highest", "success"):
        table.add_column(heading, justify="right")
    for name, task in rewards.items():
        success = DASH if task["success"] is None else f"{100 * task['success']:.1f}%"
        numbers = f"{task['mean']:.2f}", f"{task['max']:.2f}", success
        table.add_row(Text(name, "bold"), task["split"], *numbers)
    return table


def _sparks(counts: Sequence[int]) -> str:
    """Bars on a scale of roots, so that rare movements show; a space where there was none."""
    highest = max([*counts, 1])
    level = np.ceil(np.sqrt(np.array(counts) / highest) * len(SPARKS)).astype(int)
    return "".join(SPARKS[i - 1] if i else " " for i in level)
