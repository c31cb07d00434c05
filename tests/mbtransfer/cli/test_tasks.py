"""`tasks`: what there is to do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mbtransfer.cli.line import run


def test_tasks_lists_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    ended = run("tasks", "--env", "kitchen", "--json", path)
    assert ended.returncode == 0 and not ended.stderr
    found = json.loads(path.read_text())
    assert set(found) == {"tasks", "recipes", "fixtures"}
    assert len(found["tasks"]) >= 24 and len(found["recipes"]) >= 10 and len(found["fixtures"]) >= 9
    for table, keys in (
        ("tasks", "name split description"),
        ("recipes", "name steps"),
        ("fixtures", "name low high unit"),
    ):
        assert all(set(item) == set(keys.split()) for item in found[table])
        assert all(item["name"] in ended.stdout for item in found[table])
    assert {task["split"] for task in found["tasks"]} == {"source", "held_out"}
    for title in ("Source tasks", "Held-out targets", "Held-out fixtures", "Recipes", "Fixtures"):
        assert title in ended.stdout
