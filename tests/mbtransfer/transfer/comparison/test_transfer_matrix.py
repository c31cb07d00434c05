"""What was learned for one task, acting in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mbtransfer.model import Model
from mbtransfer.transfer.comparison import transfer_matrix
from mbtransfer.transfer.comparison.runs import TransferRun
from mbtransfer.transfer.comparison.transfer_matrix import learned_for, matrices, with_row
from mbtransfer.transfer.method import Solution, Sources, controller_of
from mbtransfer.transfer.model.model_transfer import ModelTransfer


@pytest.fixture
def model(drifting: Callable[..., Model]) -> Model:
    return drifting(rows=50)


def test_a_planner_pursues_its_own_task_wherever_it_is(model: Model) -> None:
    first, second = (model.environment.task(name) for name in ("drawer_half", "tap_half"))
    controller = controller_of(ModelTransfer().solve(Sources(model, (), 50, 0), first), model)
    obs, actions = model.pool.obs, model.pool.actions
    mine, foreign = (one.rewards([second]) for one in (controller, learned_for(controller, first)))
    head = controller.rewards([first]).reward(obs, actions, obs)
    assert torch.equal(foreign.reward(obs, actions, obs), head)
    assert not torch.equal(mine.reward(obs, actions, obs), head)


def test_a_policy_acts_and_the_other_task_judges(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [model.environment.task(name) for name in ("drawer_half", "tap_half")]
    judged = list[str]()
    real = transfer_matrix.play_episodes

    def watched(controller: Any, asked: Any, seed: int, episodes: int) -> Any:
        judged.append(asked.name)
        return real(controller, asked, seed, episodes)

    monkeypatch.setattr(transfer_matrix, "play_episodes", watched)
    controller = controller_of(Solution(lambda obs: torch.zeros(len(obs), 4)), model)
    run = TransferRun(method="mine", target="drawer_half", seed=0, settings={}, success=(1.0,))
    found = with_row(run, controller, tasks[0], tasks[1:], 1)
    assert judged == ["tap_half"] and found.elsewhere == {"tap_half": 0.0} and found.elsewhere_seconds > 0


def test_rows_make_a_matrix_with_the_own_success_on_its_diagonal() -> None:
    def run(target: str, success: float, elsewhere: dict[str, float]) -> TransferRun:
        return TransferRun(
            method="mine", target=target, seed=0, settings={}, success=(success,), elsewhere=elsewhere,
            elsewhere_seconds=2.0,
        )  # fmt: skip

    (found,) = matrices([run("a", 1.0, {"b": 0.5, "c": 0.25}), run("b", 0.75, {"a": 0.0, "c": 0.0})])
    assert found["tasks"] == ["a", "b", "c"] and found["seconds"] == 4.0
    assert found["success"] == [[1.0, 0.5, 0.25], [0.0, 0.75, 0.0], [None, None, None]]
