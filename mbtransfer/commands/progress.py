"""Progress of training, on the terminal and for the tracker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbtransfer.tracking import SILENT, Tracker
from world_models.learning.fit import EpochReport

CURVES = ("train_loss", "valid_loss", "rollout_error", "seconds")


@contextmanager
def epochs_bar(
    epochs: int, title: str = "fit", tracker: Tracker = SILENT
) -> Iterator[Callable[[EpochReport], None]]:
    """A bar over epochs with the latest losses, where there is a terminal; give each report to what it yields.

    The tracker gets the same as curves over epochs.
    """
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
            values = {name: getattr(report, name) for name in CURVES if getattr(report, name) is not None}
            tracker.log(values, "epoch", report.epoch)
            progress.update(
                task, completed=report.epoch, note=f"held-out loss {report.valid_loss:.4f}{error}"
            )

        yield show
