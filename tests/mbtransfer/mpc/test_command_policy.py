"""Commands to the body: what can be commanded, what following one is worth, and the policy that follows any."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mbtransfer.cli.main import main
from mbtransfer.collection.collect import collect, open_dataset
from mbtransfer.collection.jobs import plan_units
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.command_policy import BEYOND, Commands, load_command_policy
from mbtransfer.training.fit import fit_model
from mbtransfer.training.policy import prepare_commands
from tasks.registry import make
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.trainer import TrainingConfig

WALKER = make("dm_control:walker")
NAMES = [column.name for column in WALKER.spec.observation]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walker's model, fitted for a moment, with a policy for commands."""
    home = tmp_path_factory.mktemp("walker")
    dataset = open_dataset(WALKER, str(home / "data"))
    collect(WALKER, dataset, plan_units(600, 0, {"noise": 1.0}, episode_steps=30))
    shape = EnsembleConfig(members=2, hidden=8, structure="dense")
    fit_model(WALKER, dataset, home / "model", shape=shape, settings=TrainingConfig(epochs=1), device="cpu")
    prepare_commands(Model.load(home / "model", device="cpu"), 0.0, updates=2).save(home / "model")
    return home / "model"


@pytest.fixture
def commands(folder: Path) -> Commands:
    return Commands.of(WALKER, Model.load(folder, device="cpu").pool.obs)


def practise(model: Path, out: Path) -> int:
    asked = ["collect", "--env", "dm_control:walker", "--behaviours", "goals", "--model", str(model)]
    return main([*asked, "--steps", "60", "--episode-steps", "30", "--out", str(out)])


def test_a_body_in_a_plane_has_no_sideways_speed(commands: Commands) -> None:
    assert [NAMES[column] for column in commands.columns] == ["height", "torso_velocity_x", "torso_spin_y"]


def test_they_lead_a_little_beyond_what_was_seen(folder: Path, commands: Commands) -> None:
    seen = Model.load(folder, device="cpu").pool.obs[:, list(commands.columns)]
    width = seen.amax(dim=0) - seen.amin(dim=0)
    assert (commands.low < seen.amin(dim=0)).all() and (commands.high > seen.amax(dim=0)).all()
    assert (commands.high - commands.low <= (1 + 2 * BEYOND) * width + 1e-5).all()


def test_each_names_something(commands: Commands) -> None:
    drawn = commands.draw(500, torch.Generator().manual_seed(0))
    share, named = drawn.chunk(2, dim=1)
    assert drawn.shape == (500, commands.size) and set(named.unique().tolist()) == {0.0, 1.0}
    assert (named.sum(dim=1) >= 1).all() and 1.3 < float(named.sum(dim=1).mean()) < 2.0
    assert (share[named == 0] == 0).all() and float(share.min()) < -0.9 and float(share.max()) > 0.9


def test_following_all_of_a_command_is_worth_one_and_half_of_it_less_than_half() -> None:
    commands = Commands((0, 1), torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0]), torch.tensor([0.5, 0.1]))
    fast_and_high = torch.tensor([0.5, 1.0, 1.0, 1.0])  # 1 m/s, 1 m
    obs = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.5], [0.0, 0.0]])
    worth = commands.reward(fast_and_high.expand(4, -1), obs)
    torch.testing.assert_close(worth, torch.tensor([1.0, 0.25, (0.75 + 0.5) / 2, 0.0]))
    stand = torch.tensor([0.0, 0.0, 1.0, 0.0])  # 0 m/s, whatever the height
    torch.testing.assert_close(
        commands.reward(stand.expand(2, -1), torch.tensor([[0.25, 9.0], [0.0, -9.0]])),
        torch.tensor([0.5, 1.0]),
    )


@pytest.mark.slow
def test_training_teaches_to_follow_them(folder: Path) -> None:
    """In a world where the first action is the speed."""
    model = Model.load(folder, device="cpu")
    speed = NAMES.index("torso_velocity_x")

    class Pushed:
        particles = 1

        def __init__(self, *given: object) -> None: ...

        def step(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            ahead = obs.clone()
            ahead[:, speed] = 2.0 * action[:, 0]
            return ahead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mbtransfer.training.policy.commands.Imagination", Pushed)
        gains: list[float] = []
        policy = prepare_commands(model, 1e9, updates=150, report=lambda done: gains.append(done.reward))
    at = policy.commands.columns.index(speed)
    count = len(policy.commands.columns)
    obs = model.pool.obs[:50]
    pushes = []
    for share in (-0.9, 0.9):
        command = torch.zeros(50, 2 * count)
        command[:, at], command[:, count + at] = share, 1.0
        pushes.append(float(policy.act(obs, command)[:, 0].mean()))
    assert pushes[0] < -0.2 and pushes[1] > 0.2 and gains[-1] > gains[0]


def test_it_is_read_as_it_was_written_and_practised(folder: Path, tmp_path: Path) -> None:
    model, bounds = Model.load(folder, device="cpu"), action_bounds(WALKER.spec)
    policy = load_command_policy(folder, model.digest, bounds)
    command = policy.commands.draw(5, torch.Generator().manual_seed(1))
    again = load_command_policy(folder, model.digest, bounds)
    assert torch.equal(policy.act(model.pool.obs[:5], command), again.act(model.pool.obs[:5], command))
    for out in ("one", "two"):
        assert practise(folder, tmp_path / out) == 0
    one, two = (Dataset.open(tmp_path / out) for out in ("one", "two"))
    assert one.behaviours == {"goals": 2} and one.digest == two.digest


def test_without_one_it_says_how_to_get_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "model"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns("prepared"))
    assert practise(bare, tmp_path / "data") == 2
    said = capsys.readouterr().err
    assert "prepare --model" in said and "--commands" in said and said.count("\n") == 1
    with pytest.raises(UserError, match="another model"):
        load_command_policy(folder, "0" * 16, action_bounds(WALKER.spec))


@pytest.mark.parametrize("extra", [["--tasks", "walk"], ["--split", "source"], ["--method", "pool"]])
def test_it_prepares_for_no_task(folder: Path, extra: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--model", str(folder), "--commands", *extra]) == 2
    said = capsys.readouterr().err
    assert "leave out" in said and said.count("\n") == 1


def test_what_has_no_body_cannot_be_commanded() -> None:
    kitchen = make("kitchen")
    with pytest.raises(UserError, match="no columns of the body"):
        Commands.of(kitchen, torch.zeros(3, kitchen.spec.obs_size))
    with pytest.raises(UserError, match="rests"):
        Commands.of(WALKER, torch.from_numpy(np.zeros((3, WALKER.spec.obs_size), np.float32)))
