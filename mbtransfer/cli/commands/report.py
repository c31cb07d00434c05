"""`mbtransfer report`: write the HTML report of a results folder."""

from mbtransfer.config import ReportConfig
from mbtransfer.report import write_report
from mbtransfer.runtime.streams import say


def run_report(config: ReportConfig) -> None:
    """Write the report and print its path.

    Raises:
        UserError: no such folder, nothing to report in it, or it cannot be written.
    """
    say(f"wrote {write_report(config.dir)}")
