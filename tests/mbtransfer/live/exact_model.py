"""A model of the kitchen whose hand follows the action exactly, in a folder; not a test."""

from __future__ import annotations

from pathlib import Path

from mbtransfer.model import Model
from tests.mbtransfer.conftest import _drifting


def save_exact_model(folder: Path) -> None:
    model: Model = _drifting()
    model.save(folder)
