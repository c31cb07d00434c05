"""A dataset and a model as the commands make them, and copies of both to be damaged."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.pipeline.line import FIT, done


@pytest.fixture(autouse=True)
def _own_warnings() -> Iterator[None]:
    """`main` decides how warnings are shown; not beyond the test."""
    with warnings.catch_warnings():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 control steps."""
    path = tmp_path_factory.mktemp("pipeline") / "data"
    done("collect", "--env", "kitchen", "--out", path, "--steps", "6000", "--workers", "1")
    return path


@pytest.fixture(scope="session")
def model(data: Path) -> Path:
    """Fitted on them, four epochs long."""
    path = data.parent / "model"
    assert "fitted on 6,000 transitions" in done("fit", "--data", data, "--out", path, *FIT)
    return path


@pytest.fixture
def own(model: Path, data: Path, tmp_path: Path) -> Path:
    """A folder with a dataset and a model to be damaged."""
    shutil.copytree(model, tmp_path / "model")
    shutil.copytree(data, tmp_path / "data")
    return tmp_path
