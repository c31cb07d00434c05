"""`report.html`: everything a results folder holds, in one file that needs nothing but a browser.

The report reads files and nothing else: it can be made again from last year's rows.
"""

from pathlib import Path

from mbtransfer.atomic import write_text

__all__ = ["write_report"]


def write_report(directory: Path) -> Path:
    """Write `report.html` into `directory` from what is there: rows, summary, fit, diagnostics, media.

    A part whose file is missing or damaged is named in one sentence; the rest is shown. The same files give
    the same bytes.

    Returns:
        The path of the report.

    Raises:
        UserError: no such folder, nothing known in it, or it cannot be written.
    """
    # Drawing needs Matplotlib, whose import takes a second: only now.
    from mbtransfer.report.material import gather
    from mbtransfer.report.page import render

    path = directory / "report.html"
    write_text(path, render(gather(directory)))
    return path
