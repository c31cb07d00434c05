"""A results folder as a demo would leave it, with made-up numbers; not a test."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd

from mbtransfer.evaluation.results import EpisodeResult, append_rows, read_rows
from mbtransfer.evaluation.statistics import summarise

FIXTURES = [
    "microwave",
    "hinge_cabinet",
    "slide_cabinet",
    "drawer",
    "light_switch",
    "left_knob",
    "right_knob",
    "tap",
    "kettle",
]
TASKS = {
    "source": ["microwave_open", "hinge_cabinet_open", "drawer_open", "light_on", "left_knob_on", "tap_open"],
    "held_out": [
        "microwave_half",
        "drawer_half",
        "light_off",
        "tap_half",
        "right_knob_on",
        "right_knob_low",
        "kettle_left",
    ],
    "recipes": ["breakfast", "tea_for_two", "tidy_up", "reheat_dinner", "light_and_kettle", "all_doors"],
}
RATES = {"source": 0.985, "held_out": 0.96, "recipes": 0.95}


def fake_rows(seeds: int = 3, episodes: int = 10) -> list[EpisodeResult]:
    """What a demo would leave: learned and oracle on every task, and held-out tasks with fewer labels."""
    generator = np.random.default_rng(0)
    rows = []
    for split, names in TASKS.items():
        for name in names:
            hard = 0.86 if name == "right_knob_low" else 1.0
            for seed in range(seeds):
                for episode in range(episodes):
                    rows.append(fake_row(generator, name, split, seed, episode, RATES[split] * hard))
                    rows.append(fake_row(generator, name, split, seed, episode, 0.997, dynamics="oracle"))
                    if split == "held_out":
                        for labels, rate in ((100, 0.72), (1000, 0.88)):
                            rows.append(fake_row(generator, name, split, seed, episode, rate, labels=labels))
    return rows


def fake_row(
    generator: np.random.Generator,
    name: str,
    split: str,
    seed: int,
    episode: int,
    rate: float,
    dynamics: str = "learned",
    labels: int = 10000,
) -> EpisodeResult:
    success, learned = bool(generator.random() < rate), dynamics == "learned"
    total = int(generator.integers(3, 7)) if split == "recipes" else 1
    steps = int(generator.integers(12, 40)) * total if success else 45 * total
    return EpisodeResult(
        task=name,
        kind="recipe" if split == "recipes" else "task",
        split=split,
        planner="mppi",
        dynamics=dynamics,
        reward="learned" if learned else "true",
        labels=labels if learned else 0,
        seed=seed,
        episode=episode,
        success=success,
        return_=float(generator.normal(12 if success else -20, 4)),
        steps=steps,
        steps_to_success=steps if success else None,
        steps_done=total if success else total - 1,
        steps_total=total,
        plan_ms=float((8.4 if learned else 36) * generator.lognormal(0, 0.12)),
    )


def fake_diagnostics() -> dict[str, Any]:
    generator = np.random.default_rng(1)
    horizon = np.arange(1, 13)
    spread = generator.lognormal(-3, 0.8, 1500)
    error = spread * generator.lognormal(0.3, 0.5, 1500)
    visited = generator.random(90) < 0.5
    score = np.where(visited, generator.beta(2, 7, 90), generator.beta(7, 2, 90))
    rewards = []
    for name in TASKS["source"] + TASKS["held_out"]:
        true = generator.normal(-1, 0.6, 400) + 2 * (generator.random(400) < 0.2)
        noise = generator.normal(0, generator.uniform(0.05, 0.4), 400)
        rewards.append({"task": name, "true": true.tolist(), "predicted": (0.95 * true + noise).tolist()})
    return {
        "horizon_error": {
            "horizon": horizon.tolist(),
            "model": (0.02 * horizon**0.9).tolist(),
            "naive": (0.12 * horizon**0.7).tolist(),
        },
        "disagreement": {"disagreement": spread.tolist(), "error": error.tolist(), "spearman": 0.81},
        "reward": rewards,
        "check": {
            "auroc": 0.97,
            "score": score.tolist(),
            "visited": visited.astype(int).tolist(),
            "fixture": [FIXTURES[i % 9] for i in range(90)],
        },
    }


def fake_fit() -> pd.DataFrame:
    generator = np.random.default_rng(2)
    epoch = np.tile(np.arange(1, 21), 2)
    fall = np.exp(-np.arange(1, 41) / 9)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 0.05 + 0.6 * fall * generator.lognormal(0, 0.03, 40),
            "valid_loss": 0.07 + 0.6 * fall * generator.lognormal(0, 0.05, 40),
            "rollout_error": 0.2 + 0.9 * fall * generator.lognormal(0, 0.05, 40),
            "seconds": 1.1,
        }
    )


def fake_summary(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        **summarise(rows),
        "wall_seconds": {"collect": 21.4, "fit": 44.0, "evaluate": 150.2, "adapt": 61.0, "films": 12.5},
        "transitions": 63000,
        "adapt": {"episodes": [0, 1, 5, 10], "new": [0.0, 0.6, 0.97, 1.0], "old": [0.98, 0.98, 0.97, 0.98]},
        "labels": {"labels": [100, 1000, 10000], "success": [0.71, 0.88, 0.97]},
        "check": {"auroc": 0.97},
        "plan_ms": {"p50": 8.3, "p95": 10.9, "p99": 12.2},
        "settings": {
            "env": "kitchen",
            "seed": 0,
            "planner": {"name": "mppi", "horizon": 12, "candidates": 64},
            "model": {"members": 5, "hidden": [200, 200]},
        },
    }


def strip_png() -> bytes:
    buffer = BytesIO()
    matplotlib.image.imsave(buffer, np.random.default_rng(3).random((8, 48, 3)))
    return buffer.getvalue()


def fill(folder: Path, seeds: int = 2, episodes: int = 4) -> Path:
    """A complete results folder."""
    append_rows(folder / "rows.csv", fake_rows(seeds, episodes))
    fake_fit().to_csv(folder / "fit.csv", index=False)
    (folder / "diagnostics.json").write_text(json.dumps(fake_diagnostics()))
    (folder / "summary.json").write_text(json.dumps(fake_summary(read_rows(folder / "rows.csv"))))
    (folder / "media").mkdir()
    for name in TASKS["recipes"]:
        (folder / "media" / f"{name}.png").write_bytes(strip_png())
        (folder / "media" / f"{name}.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    return folder
