"""Training progress for the terminal and the tracker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbtransfer.runtime.streams import single_line
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import NULL_TRACKER, Tracker
from world_models.training.trainer import EpochReport

CURVES = ("train_loss", "valid_loss", "rollout_error", "seconds")


@contextmanager
def epochs_bar(
    epochs: int, title: str = "fit", tracker: Tracker = NULL_TRACKER
) -> Iterator[Callable[[EpochReport], None]]:
    """Draw a bar over epochs with the latest losses, if there is a terminal; call what it yields with each report.

    The tracker receives the same values as curves over epochs.
    """
    console = Terminal(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    quiet = not console.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet, transient=True
    ) as progress:
        task = progress.add_task(single_line(title), total=epochs, note="")

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
