"""The command `fit`: a dataset becomes a model."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.alone import alone
from mbtransfer.atomic import write_json
from mbtransfer.config import FitConfig as FitFlags
from mbtransfer.dataset import Dataset, Pool
from mbtransfer.errors import UserError
from mbtransfer.fit_data import HELD_OUT, coverage, exceeds_memory, in_memory, streamed
from mbtransfer.fit_defaults import suited
from mbtransfer.layout import model_layout
from mbtransfer.model import POOL, Model, pick_device
from mbtransfer.tracking import Artifact, track
from mbtransfer.trust.calibration import calibrate, recalibrate
from mbtransfer.trust.held_out import SHARE, stretches
from tasks.environment import Environment
from tasks.registry import make
from world_models.checkpoint import MANIFEST
from world_models.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.fit import EpochReport, FitConfig, fit
from world_models.stream import Streamed
from world_models.transitions import Transitions

Config = TypeVar("Config", FitConfig, EnsembleConfig)

SEGMENTS = 500
"""Stretches of held-out episodes by which members, and if asked for epochs, are chosen."""

LEAST_EPISODES = 10
STATE = "training.safetensors"


def run_fit(flags: FitFlags) -> None:
    """Fit with a progress bar, and say what came of it."""
    from mbtransfer.commands.progress import epochs_bar
    from mbtransfer.evaluate import check_writable

    check_writable(flags.json)
    dataset = Dataset.open(flags.data)
    environment = make(dataset.header.env)
    flags = suited(flags, environment.spec)
    settings, shape = _of(FitConfig, flags), _of(EnsembleConfig, flags)
    with (
        alone(flags.out),
        track("fit", flags, flags.out) as tracker,
        epochs_bar(settings.epochs, tracker=tracker) as show,
    ):
        model = fit_model(
            environment, dataset, flags.out, seed=flags.seed, shape=shape, settings=settings,
            device=flags.device, stream=flags.stream, report=show,
        )  # fmt: skip
        found = fit_summary(model)
        if flags.json:
            write_json(flags.json, found)
        tracker.uses(Artifact("dataset", str(flags.data), dataset.digest))
        tracker.makes(Artifact.of("model", flags.out, flags.out / MANIFEST))
        tracker.table("epochs", found["curve"])
        tracker.summary(found)
    print(
        f"{flags.out}: fitted on {found['transitions']:,} transitions; {found['horizon_error']['horizon'][-1]} steps "
        f"ahead it errs by {found['error']:.0%} of what 'nothing moves' does"
    )


def fit_summary(model: Model) -> dict[str, Any]:
    """What `fit --json` writes: `error` is that of the longest roll-out, as a share of what 'nothing moves' errs by."""
    errors = model.notes["horizon_error"]
    known = {name: model.notes[name] for name in ("transitions", "data", "seed", "curve", "horizon_error")}
    return known | {"error": errors["model"][-1] / errors["naive"][-1], "model": model.digest}


def _of(kind: type[Config], flags: FitFlags) -> Config:
    """Settings of that kind from the flags of the same names."""
    return kind(
        **{field.name: getattr(flags, field.name) for field in fields(kind) if hasattr(flags, field.name)}
    )


def fit_model(
    environment: Environment, dataset: Dataset, out: Path, *, seed: int = 0, shape: EnsembleConfig | None = None,
    settings: FitConfig | None = None, device: str = "auto", stream: bool = False,
    report: Callable[[EpochReport], None] | None = None,
) -> Model:  # fmt: skip
    """Fit and save a model; killed at any instant, the same call goes on from the last finished epoch.

    Data that exceed memory, or any with `stream`, stay on the disk and are read while training goes on. Without
    a `shape` there is a block per object, or where the environment has no fixtures one for all.

    Raises:
        UserError: too few episodes, or data of another environment.
        ModelError: a setting that makes no sense.
    """
    if len(dataset) < LEAST_EPISODES:
        raise UserError(f"{dataset.path}: {len(dataset)} episodes are too few to fit a model; collect more")
    where, settings = pick_device(device), settings or FitConfig()
    shape = shape or EnsembleConfig(structure="objects" if environment.spec.fixtures else "dense")
    train, valid = dataset.split(SHARE, seed=0)
    segments = stretches(valid, seed, count=SEGMENTS)
    dynamics = EnsembleDynamics(
        model_layout(environment.spec), shape, torch.Generator().manual_seed(seed)
    ).to(where)
    source: Transitions | Streamed
    if stream or exceeds_memory(dataset.pool):
        source, reserve = (streamed(part, dataset.digest, where) for part in (train, valid))
        some, held_out = source.sample(), reserve.sample(HELD_OUT)
    else:
        source, held_out = in_memory(train), in_memory(valid)
        some = source
    history: list[dict[str, Any]] = []
    for epoch in fit(dynamics, source, held_out, settings, seed, segments=segments, state=out / STATE):
        history.append(_line(epoch))
        if report:
            report(epoch)
    notes = {
        "data": dataset.digest, "transitions": dataset.steps, "seed": seed, "curve": history,
        **calibrate(dynamics, segments.to(where), held_out.to(where)), **recalibrate(dynamics, valid, seed),
    }  # fmt: skip
    been = coverage(environment.spec, dataset)
    pool, states = (
        _sample_with_states(train, seed) if environment.needs_state else (_sample(some, seed), None)
    )
    states = None if states is None else states.to(where)
    model = Model(environment, dynamics, pool.to(where), been, notes, states=states)
    model.save(out)
    (out / STATE).unlink(missing_ok=True)
    return model


def _sample(data: Transitions, seed: int) -> Transitions:
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:POOL]
    return data[rows.sort().values]


def _sample_with_states(data: Pool, seed: int) -> tuple[Transitions, Float[Tensor, "B 2 S"]]:
    """A sample of the same size, with the simulator's states before and after: some tasks are judged by these."""
    rows = np.random.default_rng(seed).permutation(data.steps)[:POOL]
    some = data.take(np.sort(rows))
    pool = Transitions(*map(torch.from_numpy, (some.obs, some.actions, some.next_obs)))
    return pool, torch.from_numpy(np.stack([some.state, some.next_state], axis=1))


def _line(epoch: EpochReport) -> dict[str, Any]:
    return {
        "epoch": epoch.epoch, "train_loss": epoch.train_loss, "valid_loss": epoch.valid_loss,
        "rollout_error": epoch.rollout_error, "seconds": epoch.seconds,
    }  # fmt: skip
