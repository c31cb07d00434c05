"""Policies and values from imagination: they reach what the reward asks for, and travel with their model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalConfig
from mbtransfer.evaluation.episodes import play_episodes
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.controller import model_controller
from mbtransfer.training.policy import (
    Method,
    MultiTaskPolicy,
    PolicyTrainingConfig,
    Prepared,
    load_prepared,
    prepare,
    prepared_digest,
    prepared_path,
)
from mbtransfer.training.policy.actor_critic import EnsemblePenalty
from world_models.checkpoint.storage import save_tensors
from world_models.dynamics.rollout import Imagination
from world_models.errors import ModelError
from world_models.transitions import Transitions

TRAINING = PolicyTrainingConfig(horizon=4, rows=32, discount=0.9, actor_rate=1e-3)
POINT = (0.1, 0.0, 0.5)


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Model:
    """A model in which the hand follows the action exactly."""
    from tests.mbtransfer.conftest import _drifting

    return _drifting()


@pytest.fixture(scope="module")
def prepared(model: Model) -> Prepared:
    """Prepared to reach a point."""
    return prepare(model, model.environment.reach(list(POINT)), 1e9, updates=300, labels=500, config=TRAINING)


def gap(model: Model, obs: torch.Tensor) -> torch.Tensor:
    """Distance of the hand to the point."""
    hand = list(model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    return (obs[..., hand] - torch.tensor(POINT)).norm(dim=-1)


def obs_sized(model: Model) -> torch.Tensor:
    """A row of zeros."""
    return torch.zeros(model.pool.obs.shape[1])


def test_the_policy_goes_where_the_reward_is(model: Model, prepared: Prepared) -> None:
    obs = model.pool.obs[:200]
    action = prepared.policy(obs)
    bounds = action_bounds(model.environment.spec)
    assert bool(((action >= bounds.low) & (action <= bounds.high)).all())
    controller = model_controller(model.environment, model.dynamics, particles=2)
    ahead = controller.dynamics.rollouts(obs, np.zeros((200, 1)), prepared.policy, 12)
    path = controller.dynamics.imagination(obs, ahead).obs  # type: ignore[attr-defined]
    before, after = gap(model, path[0, 0]), gap(model, path[-1, 0])
    assert after.mean() < 0.5 * before.mean()


def test_the_value_is_higher_the_nearer(model: Model, prepared: Prepared) -> None:
    obs = model.pool.obs
    value, distance = prepared.value(obs), gap(model, obs)
    near, far = distance < distance.quantile(0.2), distance > distance.quantile(0.8)
    assert value[near].mean() > value[far].mean()
    low, high = prepared.span
    span = 1 - TRAINING.discount
    assert float(value.min()) >= low / span - 1e-4 and float(value.max()) <= high / span + 1e-4


@pytest.mark.slow
@pytest.mark.slow
def test_the_pool_alone_teaches_which_of_its_states_and_actions_are_better(model: Model) -> None:
    obs, bounds = model.pool.obs.repeat(10, 1), action_bounds(model.environment.spec)
    hand = list(model.dynamics.layout.hand.positions)  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(0)
    actions = 2 * torch.rand(len(obs), model.pool.actions.shape[1], generator=generator) - 1
    after = obs.clone()
    after[:, hand] += 0.05 * actions[:, :3]
    pooled = replace(model, pool=Transitions(obs, actions, after), heads={})
    task = model.environment.reach(list(POINT))
    found = prepare(pooled, task, 1e9, updates=200, labels=500, config=TRAINING, method="pool")
    distance, value, action = gap(model, obs), found.value(obs), found.policy(obs)
    near, far = distance < distance.quantile(0.2), distance > distance.quantile(0.8)
    assert value[near].mean() > value[far].mean() and found.notes["method"] == "pool"
    assert bool(((action >= bounds.low) & (action <= bounds.high)).all())
    way = torch.tensor(POINT) - obs[far][:, hand]
    taken, wished = (torch.cosine_similarity(x[far][:, :3], way).mean() for x in (actions, action))
    assert wished > taken + 0.3  # better than what it imitates


@pytest.mark.parametrize("method", ["imagination", "pool"])
def test_the_same_seed_gives_the_same(model: Model, method: Method) -> None:
    task, obs = model.environment.reach(list(POINT)), model.pool.obs[:5]
    a, b, c = (
        prepare(model, task, 1e9, updates=3, labels=200, config=TRAINING, method=method, seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(a.policy(obs), b.policy(obs)) and torch.equal(a.value(obs), b.value(obs))
    assert not torch.equal(a.policy(obs), c.policy(obs))


def test_doubt_is_where_members_differ_more_than_is_usual(model: Model) -> None:
    imagination, change = Imagination(model.dynamics, 2), model.dynamics.normalizer.change
    uncertainty_penalty = EnsemblePenalty(imagination, change, model.pool)
    obs, action = (x[:20].expand(2, -1, -1).clone() for x in (model.pool.obs, model.pool.actions))
    ahead = imagination.step(obs.mT, action.mT).mT.detach().requires_grad_()
    agreed = uncertainty_penalty(obs, action, ahead)
    agreed.sum().backward()
    assert ahead.grad is not None and bool(ahead.grad.isfinite().all())
    apart = ahead.detach().clone()
    apart[0] += change
    assert bool((uncertainty_penalty(obs, action, apart)[0] > agreed[0] + 1.0).all())
    torch.testing.assert_close(uncertainty_penalty(obs, action, apart)[1], agreed[1].detach())


@pytest.mark.slow
def test_where_members_agree_doubt_changes_nothing(model: Model, prepared: Prepared) -> None:
    task, obs = model.environment.reach(list(POINT)), model.pool.obs[:20]
    heeding = replace(TRAINING, uncertainty_penalty=0.5)
    found = prepare(model, task, 1e9, updates=300, labels=500, config=heeding)
    assert found.notes["config"]["uncertainty_penalty"] == 0.5
    assert torch.equal(found.policy(obs), prepared.policy(obs))


def test_doubt_without_two_members_in_imagination_is_refused(model: Model) -> None:
    with pytest.raises(UserError, match="pool imagines nothing; leave it out"):
        prepare(
            model,
            model.environment.task("tap_open"),
            1.0,
            config=PolicyTrainingConfig(uncertainty_penalty=0.5),
            method="pool",
        )


def test_it_comes_back_from_the_disk_as_it_was(model: Model, prepared: Prepared, tmp_path: Path) -> None:
    path, obs, bounds = prepared.save(tmp_path), model.pool.obs[:20], action_bounds(model.environment.spec)
    assert path == prepared_path(tmp_path, prepared.task)
    again = load_prepared(tmp_path, prepared.task, model.digest, bounds)
    assert again is not None and again.notes["updates"] == 300
    assert torch.equal(again.policy(obs), prepared.policy(obs))
    assert torch.equal(again.value(obs), prepared.value(obs))
    assert load_prepared(tmp_path, "another", model.digest, bounds) is None
    with pytest.raises(UserError, match="another model"):
        load_prepared(tmp_path, prepared.task, "0" * 16, bounds)


def test_its_identity_is_what_plans_depend_on(prepared: Prepared, tmp_path: Path) -> None:
    path = prepared.save(tmp_path)
    before = prepared_digest(tmp_path)
    replace(prepared, notes=prepared.notes | {"seconds": 1e6}).save(tmp_path)  # the same, on a slow machine
    path.with_name(f".tmp-0123456789ab-{path.name}").write_bytes(path.read_bytes()[:99])  # a killed writer
    assert prepared_digest(tmp_path) == before
    replace(prepared, discount=0.5).save(tmp_path)
    assert prepared_digest(tmp_path) != before


def test_a_damaged_file_is_refused(model: Model, prepared: Prepared, tmp_path: Path) -> None:
    path, bounds = prepared.save(tmp_path), action_bounds(model.environment.spec)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + b"\x00" * 100)
    with pytest.raises(ModelError, match="damaged"):
        load_prepared(tmp_path, prepared.task, model.digest, bounds)
    save_tensors(path, {"actor.centre": obs_sized(model)}, {"model": model.digest})
    with pytest.raises(UserError, match="run it again"):
        load_prepared(tmp_path, prepared.task, model.digest, bounds)


def test_the_planner_uses_what_was_prepared(model: Model, prepared: Prepared) -> None:
    task = model.environment.reach(list(POINT))
    asked: list[str] = []

    def gives(one: object) -> Prepared:
        asked.append(one.name)  # type: ignore[attr-defined]
        return prepared

    controller = model_controller(model.environment, model.dynamics, settings={"horizon": 2, "candidates": 4})
    ready = replace(controller, prepared=gives).ready_for(task)
    assert ready.dynamics.estimator.value == prepared.value and ready.seeding is not None
    assert ready.dynamics.estimator.discount == TRAINING.discount
    assert play_episodes(replace(controller, prepared=gives), task, 0, 1) and asked == [task.name] * 2
    assert controller.ready_for(task) is controller


def test_the_command_prepares_and_evaluation_finds_it(
    drifting: Callable[..., Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    drifting().save(folder)
    before = EvalConfig(model=str(folder), device="cpu").resolve().described()["prepared"]
    line = [
        "prepare",
        "--model",
        str(folder),
        "--tasks",
        "drawer_half",
        "--seconds",
        "0.2",
        "--labels",
        "200",
    ]
    assert main([*line, "--device", "cpu"]) == 0
    assert "drawer_half" in capsys.readouterr().out
    found = EvalConfig(model=str(folder), device="cpu").resolve()
    task = found.environment.task("drawer_half")
    assert found.controller.ready_for(task).seeding is not None
    assert found.controller.ready_for(found.environment.task("drawer_close")).seeding is None
    assert before == "" and found.described()["prepared"]
    without = EvalConfig(model=str(folder), device="cpu", prepared=False).resolve()
    assert without.controller.ready_for(task).seeding is None and without.described()["prepared"] == ""


def test_no_time_at_all_is_one_update(model: Model, tmp_path: Path) -> None:
    made = prepare(model, model.environment.reach(list(POINT)), 0.0, labels=200, config=TRAINING)
    assert made.notes["updates"] == 1 and made.save(tmp_path).is_file()


def test_nothing_to_prepare_for_is_told(
    drifting: Callable[..., Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifting().save(tmp_path / "model")
    assert main(["prepare", "--model", str(tmp_path / "model"), "--split", "recipes"]) == 2
    assert "no task to prepare for" in capsys.readouterr().err


def test_each_episode_of_a_batch_has_its_own_task(model: Model, prepared: Prepared) -> None:
    other = prepare(model, model.environment.reach("drawer"), 1e9, updates=2, labels=200, config=TRAINING)
    mixed = MultiTaskPolicy([prepared, other], torch.tensor([1, 0]))
    obs = model.pool.obs[:12].unflatten(0, (2, 6))  # particles, then three candidates of each of two episodes
    policy, value = mixed.policy(obs), mixed.value(obs)
    assert torch.equal(policy[:, 3:], prepared.policy(obs[:, 3:]))
    assert torch.equal(policy[:, :3], other.policy(obs[:, :3]))
    assert torch.equal(value[:, 3:], prepared.value(obs[:, 3:]))
    assert torch.equal(value[:, :3], other.value(obs[:, :3]))


def test_collection_uses_what_was_prepared_for_all_of_its_tasks(
    drifting: Callable[..., Model], tmp_path: Path
) -> None:
    folder, names = tmp_path / "model", ["drawer_open", "tap_open"]
    model = drifting()
    model.save(folder)
    line = [
        "collect", "--model", str(folder), "--behaviours", "planner", "--steps", "40", "--episode-steps", "10",
        "--candidates", "4", "--horizon", "2", "--workers", "1", "--tasks", *names,
    ]  # fmt: skip

    def done(out: str, *more: str) -> list[float]:
        assert main([*line, "--out", str(tmp_path / out), *more]) == 0
        shard, chosen = Dataset.open(tmp_path / out).pool.parts[0]
        actions: list[float] = shard.episode(int(chosen[0])).actions.ravel().tolist()
        return actions

    bare = done("bare")
    for number, name in enumerate(names):
        prepare(model, model.environment.task(name), 1e9, updates=1, labels=200, config=TRAINING).save(folder)
        assert (done(f"with-{number}") == bare) == (number == 0)
    assert done("without", "--no-prepared") == bare
