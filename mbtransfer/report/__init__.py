"""`report.html`: a results folder as one self-contained page.

The report reads files and nothing else: it can be made again from last year's rows.
"""

from pathlib import Path

from mbtransfer.runtime.files import write_text

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
    from mbtransfer.report.page import render
    from mbtransfer.report.results_dir import read_results_dir

    path = directory / "report.html"
    write_text(path, render(read_results_dir(directory)))
    return path
