"""The parts of `benchmarks.fine_tuning` that decide what its numbers mean."""

from __future__ import annotations

import pytest
import torch

fine_tuning = pytest.importorskip("benchmarks.fine_tuning", reason="a wheel comes without benchmarks")

from world_models.transitions import Transitions  # noqa: E402


def test_what_judges_forgetting_is_never_learned_from() -> None:
    obs = torch.arange(50.0)[:, None]
    kept, apart = fine_tuning.held_apart(Transitions(obs, obs, obs))
    assert (len(kept), len(apart)) == (45, 5)
    assert sorted([*kept.obs[:, 0].tolist(), *apart.obs[:, 0].tolist()]) == obs[:, 0].tolist()


def test_the_table_has_a_line_for_each_variant() -> None:
    def run(new: float, success: float) -> dict[str, float]:
        return {"new": new, "old": 0.1, "success": success, "seconds": 12.0}

    none = float("nan")
    found = {
        "all": {0: [run(1.0, none)], 2: [run(0.4, none), run(0.6, none)]},
        "ewc": {0: [run(1.0, 0.0)], 2: [run(0.5, 1.0)]},
    }
    lines = fine_tuning.as_markdown(found).splitlines()
    assert lines[0] == "| variant | new error, 0 / 2 | old error, 0 / 2 | success, 0 / 2 | seconds, 0 / 2 |"
    assert lines[1].count("|") == lines[0].count("|")
    assert lines[2] == "| all | 1.00 / 0.50 | 0.10 / 0.10 | – / – | 12 / 12 |"
    assert lines[3] == "| ewc | 1.00 / 0.50 | 0.10 / 0.10 | 0.00 / 1.00 | 12 / 12 |"
