"""A complete results folder and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mbtransfer.report.reading import Page, page_of
from tests.mbtransfer.report.results import fill


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of ten episodes."""
    return fill(tmp_path_factory.mktemp("demo"), seeds=3, episodes=10)


@pytest.fixture(scope="session")
def page(complete: Path) -> Page:
    """What was written about that folder."""
    return page_of(complete)
