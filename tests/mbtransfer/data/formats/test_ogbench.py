"""OGBench's files of play, made here by its own environment in its own format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbtransfer.cli.main import main
from mbtransfer.data import Dataset
from tasks.ogbench.cells import CELLS, load_env
from tasks.registry import make

pytest.importorskip("ogbench", reason="OGBench is not installed; docs/ogbench.md says how")
pytestmark = pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")  # of its action space


@cache
def recorded(name: str, episodes: int = 2, steps: int = 4) -> dict[str, np.ndarray]:
    """What the package's generation of data writes: one row per action, `terminals` at the end of each episode."""
    env, rng = load_env(name, CELLS[name]), np.random.default_rng(0)
    rows: dict[str, list[Any]] = {}
    for episode in range(episodes):
        obs, _ = env.reset(seed=episode, options={"task_id": 1})
        for step in range(steps):
            action = rng.uniform(-1, 1, 5)
            next_obs, _, _, _, info = env.step(action)
            row = {"observations": obs, "actions": action, "terminals": step == steps - 1}
            row |= {"qpos": info["prev_qpos"], "qvel": info["prev_qvel"]}
            if CELLS[name].lights:
                row["button_states"] = info["prev_button_states"]
            for key, value in row.items():
                rows.setdefault(key, []).append(value)
            obs = next_obs
    types: dict[str, type] = {"terminals": bool, "button_states": np.int64}
    return {key: np.array(value, types.get(key, np.float32)) for key, value in rows.items()}


@pytest.mark.parametrize("name", ["scene", "cube-single"])
def test_states_become_our_observations(name: str, tmp_path: Path) -> None:
    arrays, file = recorded(name), tmp_path / f"{name}-play-v0.npz"
    np.savez_compressed(file, **arrays)
    for _ in range(2):  # again adds nothing
        assert main(["dataset", "import", f"ogbench:{file}", "--out", str(tmp_path / "data")]) == 0
    dataset = Dataset.open(tmp_path / "data")
    assert (dataset.header.env, len(dataset), dataset.steps) == (f"ogbench:{name}", 2, 6)
    world = make(f"ogbench:{name}")
    first = next(iter(dataset.episodes()))
    assert np.array_equal(first.actions, arrays["actions"][:3]) and first.truncated and not first.terminated
    nq = arrays["qpos"].shape[1]
    assert first.state[:, 1 : 1 + nq] == pytest.approx(arrays["qpos"][:4])
    hand = first.obs[:, list(world.spec.hand)]
    seen = arrays["observations"][:4, 12:15] / 10.0 + np.array([0.425, 0.0, 0.0])
    assert hand == pytest.approx(seen, abs=5e-3)
    again = world.make_scene(()).rollout(first.state[None, 0], first.actions[None])[0]
    moved = world.make_scene(()).observe(again)[:, list(world.spec.hand)]
    assert moved == pytest.approx(hand[1:], abs=5e-3)


def test_what_does_not_fit_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = recorded("scene")
    whole, bare, strange = (tmp_path / f"{one}-play-v0.npz" for one in ("cube-single", "scene", "antmaze"))
    np.savez(whole, **arrays)
    np.savez(bare, **{key: arrays[key] for key in ("observations", "actions", "terminals")})
    np.savez(strange, **arrays)
    for file, said in (
        (whole, "has 51 numbers in a state, ogbench:cube-single 41; give --env"),
        (bare, "has no qpos"),
        (strange, "no workcell"),
        (tmp_path / "none.npz", "there is no file"),
    ):
        assert main(["dataset", "import", f"ogbench:{file}", "--out", str(tmp_path / "data")]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert (
        main(
            ["dataset", "import", f"ogbench:{whole}", "--env", "ogbench:scene", "--out", str(tmp_path / "d")]
        )
        == 0
    )
