"""Gymnasium environments as people write them: each is collected, fitted and planned in, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from mbtransfer.evaluation.results import read_rows
from tasks.registry import make

EXAMPLES = Path(__file__).parents[1] / "tasks" / "gym_examples.py"

WORK = [
    "Walk", "Whole", "Bytes", "Listed", "Still", "Nested", "Uneven", "Buffered", "Talkative", "Scalars", "Brief",
    "Third", "Noisy", "limited", "stacked", "rescaled", "sticky",
]  # fmt: skip

REFUSED = {
    "Choice": "a Box, or a Dict of boxes, is needed",
    "Choices": "planning needs numbers within bounds, a Box",
    "Unbounded": "planning needs finite bounds",
    "Forgetful": "reset with the same seed gives another start each time; begin its reset with",
    "Worthless": "step gives the reward nan; rewards must be finite",
    "Fragile": "step raised RuntimeError: the motor is on fire",
    "Stubborn": "reset raised RuntimeError: no floor",
    "Older": "step gives 4 values instead of five values, as in the older Gym API",
    "Oldest": "reset gives no pair of observation and info, as in the older Gym API",
    "Unseeded": "reset raised TypeError",
    "Longer": "reset gives 3 numbers, its observation_space says 2",
    "normalised": "NormalizeObservation changes from step to step what its numbers mean",
}


def collected(name: str, folder: Path) -> list[str]:
    return [
        "collect", "--env", f"gym:{EXAMPLES}:{name}", "--steps", "90", "--episode-steps", "6", "--workers", "1",
        "--out", str(folder),
    ]  # fmt: skip


@pytest.mark.parametrize("name", WORK)
def test_it_is_collected(name: str, tmp_path: Path) -> None:
    assert main(collected(name, tmp_path / "data")) == 0
    dataset = Dataset.open(tmp_path / "data")
    assert len(dataset) == 15
    assert all(np.isfinite(episode.obs).all() for episode in dataset.episodes())


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_it_is_fitted_and_planned_in(name: str, tmp_path: Path) -> None:
    data, model, rows, env = (
        tmp_path / "data",
        tmp_path / "model",
        tmp_path / "rows.csv",
        f"gym:{EXAMPLES}:{name}",
    )
    assert main(collected(name, data)) == 0
    small = "--epochs 1 --hidden 8 --members 2 --trust-code"
    assert main(["fit", "--data", str(data), "--out", str(model), *small.split()]) == 0
    small = "--tasks native --horizon 2 --candidates 4 --iterations 1 --episodes 1 --workers 1"
    line = ["evaluate", "--env", env, "--model", str(model), "--rows", str(rows), *small.split()]
    assert main(line) == 0
    assert len(read_rows(rows)) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(collected(name, tmp_path / "data")) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told and REFUSED[name] in told, told


@pytest.mark.parametrize(
    ("name", "steps", "ends"),
    [("Brief", 1, (True, False)), ("Third", 3, (False, True)), ("limited", 3, (False, True))],
)
def test_episodes_end_as_the_environment_says(
    name: str, steps: int, ends: tuple[bool, bool], tmp_path: Path
) -> None:
    assert main(collected(name, tmp_path / "data")) == 0
    episodes = list(Dataset.open(tmp_path / "data").episodes())
    assert {len(episode) for episode in episodes} == {steps}
    assert {(episode.terminated, episode.truncated) for episode in episodes} == {ends}


def test_a_buffer_that_is_used_again_changes_nothing_that_was_seen(tmp_path: Path) -> None:
    worlds = [make(f"gym:{EXAMPLES}:{name}") for name in ("Walk", "Buffered")]
    assert worlds[0].spec.observation == worlds[1].spec.observation
    paths, push = [], np.full((2, 3, 1), 0.5, np.float32)
    for world in worlds:
        scene = world.make_scene(())
        paths.append(scene.rollout(scene.sample_states(np.random.default_rng(0), 2), push))
    np.testing.assert_array_equal(*paths)


def test_each_action_has_its_own_bounds() -> None:
    bounds = [(action.low, action.high) for action in make(f"gym:{EXAMPLES}:Uneven").spec.action]
    assert bounds == [(0.0, 1.0), (-1.0, 2.0), (-10.0, 10.0), (-0.25, 0.5)]


def test_what_can_only_be_one_number_has_a_range_of_some_width() -> None:
    still = make(f"gym:{EXAMPLES}:Still").spec.observation[1]
    assert still.low < 3.0 < still.high


def test_mujoco_with_actions_drawn_at_random_is_stepped_and_never_set() -> None:
    assert make(f"gym:{EXAMPLES}:sticky_reacher").make_scene(()).live


def test_random_dynamics_are_those_of_the_seed() -> None:
    scenes = [make(f"gym:{EXAMPLES}:Noisy").make_scene(()) for _ in range(2)]
    push = np.full((2, 3, 1), 0.1, np.float32)
    paths = [scene.rollout(scene.sample_states(np.random.default_rng(0), 2), push) for scene in scenes]
    np.testing.assert_array_equal(*paths)
