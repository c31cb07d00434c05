"""Progress of training on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from world_models.fit import EpochReport


@contextmanager
def epochs_bar(epochs: int, title: str = "fit") -> Iterator[Callable[[EpochReport], None]]:
    """A bar over epochs with the latest losses, where there is a terminal; give each report to what it yields."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    quiet = not console.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet, transient=True
    ) as progress:
        task = progress.add_task(title, total=epochs, note="")

        def show(report: EpochReport) -> None:
            error = (
                ""
                if report.rollout_error is None
                else f", roll-out error {report.rollout_error:.0%} of naive"
            )
            progress.update(
                task, completed=report.epoch, note=f"held-out loss {report.valid_loss:.4f}{error}"
            )

        yield show
