"""`mbtransfer report`: results that are there already, as a page."""

from mbtransfer.config import ReportConfig
from mbtransfer.report import write_report


def run_report(config: ReportConfig) -> None:
    """Write the report and say where it is.

    Raises:
        UserError: no such folder, nothing to report in it, or it cannot be written.
    """
    print(f"wrote {write_report(config.dir)}")
