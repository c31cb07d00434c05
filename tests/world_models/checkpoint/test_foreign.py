"""A model of another environment is told apart, and what differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.world_models.checkpoint.saved import refused
from world_models.layout import Layout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ("x", "y", "depth")}, "16 observation columns in the model, 3 here"),
        ({"action_size": 4}, "3 actions in the model, 4 here"),
        ({"hand": None}, "hand in the model is no hand here"),
        ({"objects": ()}, "2 objects in the model, 0 here"),
    ],
)
def test_another_environment_is_told_apart(
    folder: Path, layout: Layout, change: dict[str, Any], message: str
) -> None:
    assert f"does not fit this environment: {message}" in refused(folder, expect=replace(layout, **change))


def test_the_first_differing_column_is_named(folder: Path, layout: Layout) -> None:
    renamed = replace(layout, columns=(*layout.columns[:3], "door", *layout.columns[4:]))
    assert "observation column 3 is left in the model, door here" in refused(folder, expect=renamed)
    wider = replace(layout, high=(*layout.high[:4], 0.2, *layout.high[5:]))
    assert "high of right is 0.1 in the model, 0.2 here" in refused(folder, expect=wider)
