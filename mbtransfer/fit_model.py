"""The command `fit`: a dataset becomes a model."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from mbtransfer.calibration import calibrate, recalibrate
from mbtransfer.config import FitConfig as FitFlags
from mbtransfer.coverage import Coverage
from mbtransfer.dataset import Dataset, Pool
from mbtransfer.errors import UserError
from mbtransfer.held_out import SHARE
from mbtransfer.layout import model_layout
from mbtransfer.model import POOL, Model, pick_device
from tasks.environment import Environment
from tasks.registry import make
from world_models.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.fit import EpochReport, FitConfig, fit
from world_models.transitions import Segments, Transitions

Config = TypeVar("Config", FitConfig, EnsembleConfig)

HORIZON = 12
"""Control steps of the roll-outs by which members are ranked: as far as the longest default plan."""

SEGMENTS = 500
LEAST_EPISODES = 10
STATE = "training.safetensors"


def run_fit(flags: FitFlags) -> None:
    """Fit with a progress bar, and say what came of it."""
    from mbtransfer.commands.progress import epochs_bar

    dataset = Dataset.open(flags.data)
    environment = make(dataset.header.env)
    settings, shape = _of(FitConfig, flags), _of(EnsembleConfig, flags)
    with epochs_bar(settings.epochs) as show:
        model = fit_model(
            environment, dataset, flags.out, seed=flags.seed, shape=shape, settings=settings,
            device=flags.device, report=show,
        )  # fmt: skip
    errors = model.notes["horizon_error"]
    print(
        f"{flags.out}: fitted on {model.notes['transitions']:,} transitions; {errors['horizon'][-1]} steps ahead "
        f"it errs by {errors['model'][-1] / errors['naive'][-1]:.0%} of what 'nothing moves' does"
    )


def _of(kind: type[Config], flags: FitFlags) -> Config:
    """Settings of that kind from the flags of the same names."""
    return kind(
        **{field.name: getattr(flags, field.name) for field in fields(kind) if hasattr(flags, field.name)}
    )


def fit_model(
    environment: Environment, dataset: Dataset, out: Path, *, seed: int = 0, shape: EnsembleConfig | None = None,
    settings: FitConfig | None = None, device: str = "auto", report: Callable[[EpochReport], None] | None = None,
) -> Model:  # fmt: skip
    """Fit and save a model; killed at any instant, the same call goes on from the last finished epoch.

    Raises:
        UserError: too few episodes, or data of another environment.
        ModelError: a setting that makes no sense.
    """
    if len(dataset) < LEAST_EPISODES:
        raise UserError(f"{dataset.path}: {len(dataset)} episodes are too few to fit a model; collect more")
    where = pick_device(device)
    shape, settings = shape or EnsembleConfig(), settings or FitConfig()
    train, valid = dataset.split(SHARE, seed=0)
    stretches = _segments(valid, seed)
    dynamics = EnsembleDynamics(
        model_layout(environment.spec), shape, torch.Generator().manual_seed(seed)
    ).to(where)
    known, held_out = _transitions(train), _transitions(valid)
    history: list[dict[str, Any]] = []
    for epoch in fit(dynamics, known, held_out, settings, seed, segments=stretches, state=out / STATE):
        history.append(_line(epoch))
        if report:
            report(epoch)
    notes = {
        "data": dataset.digest, "transitions": dataset.steps, "seed": seed, "curve": history,
        **calibrate(dynamics, stretches.to(where), held_out.to(where)), **recalibrate(dynamics, valid, seed),
    }  # fmt: skip
    everything = dataset.transitions()
    coverage = Coverage.of(environment.spec, everything.obs, everything.next_obs)
    model = Model(environment, dynamics, _sample(known, seed).to(where), coverage, notes)
    model.save(out)
    (out / STATE).unlink(missing_ok=True)
    return model


def _transitions(pool: Pool) -> Transitions:
    rows = pool.transitions()
    return Transitions(*(torch.from_numpy(part) for part in (rows.obs, rows.actions, rows.next_obs)))


def _segments(pool: Pool, seed: int) -> Segments:
    episodes = [(torch.tensor(e.obs), torch.tensor(e.actions)) for e in pool.episodes() if len(e) > 1]
    longest = max((len(actions) for _, actions in episodes), default=0)
    if not episodes:
        raise UserError("the dataset's episodes are too short to fit a model; collect longer ones")
    return Segments.cut(episodes, min(HORIZON, longest), SEGMENTS, torch.Generator().manual_seed(seed))


def _sample(data: Transitions, seed: int) -> Transitions:
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:POOL]
    return data[rows.sort().values]


def _line(epoch: EpochReport) -> dict[str, Any]:
    return {
        "epoch": epoch.epoch, "train_loss": epoch.train_loss, "valid_loss": epoch.valid_loss,
        "rollout_error": epoch.rollout_error, "seconds": epoch.seconds,
    }  # fmt: skip
