"""A fit that was killed goes on and ends with the same bits, or starts over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.world_models.training.fitting import SHORT, Build, bits, run, same
from world_models.training.trainer import fit, train_steps
from world_models.transitions import Segments, Transitions


@pytest.mark.parametrize("settings", [
    {}, {"bootstrap": True}, {"rollout_steps": 3, "weight_decay": 0.1, "choose": "rollout"}, {"precision": "bfloat16"},
])  # fmt: skip
@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(
    build: Build, train: Transitions, valid: Transitions, segments: Segments, tmp_path: Path,
    stop_after: int, settings: dict[str, Any],
) -> None:  # fmt: skip
    config, state = replace(SHORT, **settings), tmp_path / "training.safetensors"
    whole, part, rest = build(), build(), build()
    expected = run(whole, train, valid, config, segments=segments)
    reports = fit(part, train, valid, config, segments=segments, state=state)
    for _ in range(stop_after):
        next(reports)
    reports.close()  # type: ignore[attr-defined]
    found = run(rest, train, valid, config, segments=segments, state=state)
    assert same(bits(whole), bits(rest))
    assert [replace(report, seconds=0.0) for report in found] == [replace(r, seconds=0.0) for r in expected]


def test_a_kill_between_epochs_loses_no_finished_one(
    build: Build, train: Transitions, valid: Transitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, epochs = tmp_path / "training.safetensors", []
    reports = fit(build(), train, valid, SHORT, state=state)
    next(reports)

    def killed(*args: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("world_models.training.trainer.held_out_loss", killed)
        next(reports)
    resumed = build()
    with monkeypatch.context() as patch:
        patch.setattr("world_models.training.trainer.train_steps", counted(epochs))
        run(resumed, train, valid, SHORT, state=state)
    whole = build()
    run(whole, train, valid, SHORT)
    assert len(epochs) == 3 and same(bits(whole), bits(resumed))


def counted(calls: list[int]) -> Callable[..., Tensor]:
    def steps(*args: object, **keywords: object) -> Tensor:
        calls.append(1)
        return train_steps(*args, **keywords)  # type: ignore[arg-type]

    return steps


@pytest.mark.parametrize("harm", ["cut", "flip", "other seed"])
def test_a_state_that_is_damaged_or_of_another_run_starts_over(
    build: Build, train: Transitions, valid: Transitions, tmp_path: Path, harm: str
) -> None:
    state = tmp_path / "training.safetensors"
    next(fit(build(), train, valid, SHORT, 1 if harm == "other seed" else 0, state=state))
    data = bytearray(state.read_bytes())
    if harm == "cut":
        state.write_bytes(data[:-100])
    elif harm == "flip":
        data[len(data) // 2] ^= 1
        state.write_bytes(data)
    whole, again = build(), build()
    run(whole, train, valid, SHORT)
    run(again, train, valid, SHORT, state=state)
    assert same(bits(whole), bits(again))
