"""Labels from a person at the terminal, one transition after the other."""

import math
from collections.abc import Iterator

import torch
from rich.table import Table

from mbtransfer.labels.label_file import LabelTable
from mbtransfer.labels.table import TRUTH
from mbtransfer.runtime.terminal import Terminal
from tasks.spec import EnvSpec

YES_NO = TRUTH | {"y": True, "yes": True, "n": False, "no": False}


def ask_person(table: LabelTable, spec: EnvSpec, console: Terminal) -> Iterator[LabelTable]:
    """Ask for reward and success of every transition without a label; yields the table after each answer.

    Raises:
        KeyboardInterrupt: the person stops, with Ctrl-C or at the end of the input.
    """
    rows = table.open.nonzero()[:, 0].tolist()
    for number, row in enumerate(rows, 1):
        console.print(_shown(table, row, spec, f"{number} of {len(rows)}"))
        reward, success = _reward(console), _success(console)
        table = table.answered(torch.tensor([row]), torch.tensor([reward]), torch.tensor([success]))
        yield table


def _shown(table: LabelTable, row: int, spec: EnvSpec, title: str) -> Table:
    """Hand and fixtures before and after the transition, or every column where there are none of them."""
    columns = [*spec.hand, *(fixture.position for fixture in spec.fixtures)] or range(spec.obs_size)
    before, after = table.transitions.obs[row], table.transitions.next_obs[row]
    shown = Table(box=None, header_style="bold")
    shown.add_column(title, no_wrap=True)
    for name in ("before", "after", "unit"):
        shown.add_column(name, justify="left" if name == "unit" else "right")
    for column in columns:
        variable = spec.observation[column]
        shown.add_row(variable.name, f"{before[column]:.3f}", f"{after[column]:.3f}", variable.unit)
    return shown


def _reward(console: Terminal) -> float:
    while True:
        text = _answer(console, "reward (a number): ")
        try:
            if math.isfinite(reward := float(text)):
                return reward
        except ValueError:
            pass
        console.say(f"{text!r} is not a finite number")


def _success(console: Terminal) -> bool:
    while (text := _answer(console, "success (y or n): ").lower()) not in YES_NO:
        console.say(f"{text!r} is neither y nor n")
    return YES_NO[text]


def _answer(console: Terminal, question: str) -> str:
    try:
        return console.input(question).strip()
    except EOFError as end:
        raise KeyboardInterrupt from end
