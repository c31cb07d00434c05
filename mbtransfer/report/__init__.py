"""`report.html`: a results folder as one self-contained page.

The report is made from files alone, so that it can be made again from old results.
"""

from pathlib import Path

from mbtransfer.runtime.files import write_text

__all__ = ["write_report"]


def write_report(directory: Path) -> Path:
    """Write `report.html` into `directory` from the files in it: rows, summary, fit, diagnostics, media.

    A part whose file is missing or damaged is replaced by one sentence; the rest is shown. The same files give
    the same bytes.

    Returns:
        The path of the report.

    Raises:
        UserError: no such folder, no known file in it, or the report cannot be written.
    """
    # Imported late: drawing needs Matplotlib, whose import takes a second.
    from mbtransfer.report.page import render
    from mbtransfer.report.results_dir import read_results_dir

    path = directory / "report.html"
    write_text(path, render(read_results_dir(directory)))
    return path
