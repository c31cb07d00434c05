"""A few episodes of a task, from the fitted model to the adapted one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.cli.commands.adapt import run_adapt
from mbtransfer.config import AdaptConfig
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.training.adapt import FRESH, Adaptation, adapt_model, adaptations, split, summary
from tasks.errors import TaskError
from tasks.registry import make
from tasks.simulator import Simulator
from tasks.task import Move
from world_models.adaptation import adapt as learning
from world_models.checkpoint.storage import digest
from world_models.errors import ModelError

KITCHEN = make("kitchen")
TASK = KITCHEN.task("drawer_half")


@pytest.fixture(scope="module")
def scene() -> Simulator:
    return KITCHEN.make_scene(())


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """Trainings of 40 steps instead of hundreds."""
    config = learning.FineTuningConfig(epochs=2, steps_per_epoch=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbtransfer.training.adapt.adapt", partial(learning.adapt, config=config))
        yield


@pytest.fixture(scope="module")
def steps(_short: None, fitted_folder: Path, scene: Simulator) -> dict[int, Adaptation]:
    """The model after 0, 1 and 3 episodes."""
    model = Model.load(fitted_folder, device="cpu")
    return dict(adaptations(model, TASK, (3, 0, 1), scene))


def test_no_episodes_leave_the_model_as_it_is(fitted: Model, scene: Simulator) -> None:
    found = adapt_model(fitted, TASK, 0, scene)
    assert found.model is fitted and found.result is None and found.episodes == []
    assert summary(found) == {"taught": [], "donors": {}, "loss_before": None, "loss_after": None}


def test_a_negative_number_of_episodes_is_refused(fitted: Model, scene: Simulator) -> None:
    with pytest.raises(UserError, match="-1 episodes"):
        adapt_model(fitted, TASK, -1, scene)


def test_more_episodes_extend_the_same_sequence(steps: dict[int, Adaptation]) -> None:
    assert list(steps) == [0, 1, 3]
    assert [len(steps[n].episodes) for n in steps] == [0, 1, 3]
    assert steps[1].episodes[0] is steps[3].episodes[0]
    assert [episode.behaviour for episode in steps[3].episodes] == ["babble", "babble", "planner"]


def test_episodes_start_with_the_task_undone(steps: dict[int, Adaptation]) -> None:
    for episode in steps[3].episodes:
        assert len(episode) == KITCHEN.spec.episode_steps
        assert bool(TASK.is_valid_start(torch.from_numpy(episode.obs[0])))


def test_the_adapted_model_knows_more(steps: dict[int, Adaptation], fitted: Model) -> None:
    for count in (1, 3):
        found = steps[count]
        assert found.result is not None
        assert "drawer" in found.result.taught and found.result.after < found.result.before
        assert (
            len(found.model.pool)
            == len(fitted.pool) + _copies(fitted, count) * count * KITCHEN.spec.episode_steps
        )
        before, after = (sum(m.coverage.moves["drawer"]) for m in (fitted, found.model))
        assert after > before
        told = summary(found)
        assert told["taught"] == list(found.result.taught) and told["loss_after"] < told["loss_before"]


def _copies(model: Model, episodes: int) -> int:
    return max(1, round(FRESH * len(model.pool) / (episodes * KITCHEN.spec.episode_steps)))


def test_episodes_that_never_fulfil_the_task_leave_the_model_as_it_was(
    fitted: Model, scene: Simulator
) -> None:
    class Never(Move):
        def success(self, obs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(obs.shape[:-1], dtype=torch.bool)

    assert isinstance(TASK, Move)
    found = adapt_model(fitted, Never("never", "", "user", TASK.fixture, TASK.to), 1, scene)
    assert found.model is fitted and found.result is None and len(found.episodes) == 1


def test_the_given_model_is_left_alone(steps: dict[int, Adaptation], fitted: Model) -> None:
    assert steps[0].model.digest == fitted.digest
    found = steps[3]
    assert found.model.digest != fitted.digest and found.model.heads == {}
    assert found.result is not None
    free = [
        1 + k for k, body in enumerate(fitted.dynamics.layout.objects) if body.name not in found.result.taught
    ]
    for k in (0, *free):
        rows = torch.arange(fitted.dynamics.config.members) * fitted.dynamics.blocks + k
        for ours, theirs in zip(found.model.dynamics.weights[:-1], fitted.dynamics.weights[:-1], strict=True):
            assert torch.equal(ours[rows], theirs[rows])


def test_an_adaptation_can_be_repeated(steps: dict[int, Adaptation], fitted: Model, scene: Simulator) -> None:
    again = adapt_model(fitted, TASK, 1, scene)
    assert again.model.digest == steps[1].model.digest
    other = adapt_model(fitted, TASK, 1, scene, seed=9)
    assert not np.array_equal(other.episodes[0].obs, again.episodes[0].obs)


def test_an_adapted_model_can_be_saved(steps: dict[int, Adaptation], tmp_path: Path) -> None:
    steps[3].model.save(tmp_path)
    found = Model.load(tmp_path, device="cpu")
    assert found.digest == steps[3].model.digest
    assert digest(found.dynamics.state_dict()) == digest(steps[3].model.dynamics.state_dict())


def test_held_out_transitions_are_whole_stretches_and_none_is_in_both_parts(
    steps: dict[int, Adaptation],
) -> None:
    new, held_out = split(steps[3].episodes)
    assert len(new) + len(held_out) == 180 and 20 <= len(held_out) <= 60
    rows = {tuple(row) for row in new.obs.tolist()}
    assert not rows & {tuple(row) for row in held_out.obs.tolist()}
    assert len(split(steps[1].episodes)[1]) == 10


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task": "drawer_opn"}, TaskError, "drawer_open"),
        ({"model": Path("nowhere")}, ModelError, "not a model folder"),
        ({"json": Path(__file__).parent}, UserError, "it is a folder"),
        ({"device": "gpu"}, ModelError, "gpu"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(
    fitted_folder: Path, tmp_path: Path, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    flags = {"model": fitted_folder, "task": "drawer_open", "episodes": 1, "out": tmp_path / "out"} | changes
    with pytest.raises(error, match=words):
        run_adapt(AdaptConfig(**flags))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_model_is_not_adapted_onto_itself(fitted_folder: Path) -> None:
    same = fitted_folder / ".." / fitted_folder.name
    with pytest.raises(UserError, match="is the model itself"):
        run_adapt(AdaptConfig(model=fitted_folder, task="drawer_open", episodes=1, out=same))
