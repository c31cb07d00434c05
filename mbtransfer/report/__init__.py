"""`report.html`: a results folder as one self-contained page.

The report is made from files alone, so that it can be made again from old results.
"""

from pathlib import Path

from mbtransfer.runtime.files import write_text

__all__ = ["write_comparison", "write_report"]


def write_report(directory: Path) -> Path:
    """Write `report.html` into `directory` from the files in it: rows, summary, fit, diagnostics, media.

    A folder of `mbtransfer compare` gets the page of a comparison instead; see `write_comparison`.

    A part whose file is missing or damaged is replaced by one sentence; the rest is shown. The same files give
    the same bytes.

    Returns:
        The path of the report.

    Raises:
        UserError: no such folder, no known file in it, or the report cannot be written.
    """
    # Imported late: drawing needs Matplotlib, whose import takes a second.
    from mbtransfer.report.comparison_page import is_comparison
    from mbtransfer.report.page import render
    from mbtransfer.report.results_dir import read_results_dir

    material = read_results_dir(directory)
    if is_comparison(material.summary):
        return write_comparison(directory)
    path = directory / "report.html"
    write_text(path, render(material))
    return path


def write_comparison(directory: Path) -> Path:
    """Write `report.html` of a comparison of transfer methods into `directory`, from its `summary.json` alone.

    Returns:
        The path of the page.

    Raises:
        UserError: there is no summary of a comparison, or the page cannot be written.
    """
    from mbtransfer.report.comparison_page import read_comparison, render_comparison

    path = directory / "report.html"
    write_text(path, render_comparison(directory.resolve().name, *read_comparison(directory)))
    return path
