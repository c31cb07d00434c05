"""Progress bar with rate and remaining time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mbtransfer.runtime.streams import single_line
from mbtransfer.runtime.terminal import Terminal, styled


class _Rate(ProgressColumn):
    """How many per second."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        speed = task.finished_speed or task.speed
        return styled(("" if not speed else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s", "cyan"))


class _Count(ProgressColumn):
    """How many of how many."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        return styled(f"{task.completed:,.0f} of {task.total or 0:,.0f} {task.fields['unit']}")


@contextmanager
def progress_bar(
    console: Terminal, label: str, total: int, unit: str, already: int = 0
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the body runs and give it a function that advances the bar.

    Nothing is shown where the output is no terminal: a log does not want a thousand lines.

    Args:
        console: where to draw.
        label: what is being done.
        total: how much there is to do.
        unit: what is counted.
        already: how much of it an earlier run has done.
    """
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), _Count(), _Rate(),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(single_line(label), total=total, completed=already, unit=unit)
        yield lambda amount: progress.advance(task, amount)
