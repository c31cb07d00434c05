"""The command `fit`: a dataset becomes a model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
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
from world_models.learning.fit import EpochReport, FitConfig, fit
from world_models.learning.ranks import ALONE, Ranks, joined
from world_models.learning.stream import Streamed
from world_models.transitions import Segments, Transitions

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
    with ExitStack() as stack:
        ranks, device = stack.enter_context(joined(flags.device))
        common: dict[str, Any] = {
            "seed": flags.seed, "shape": shape, "settings": settings, "device": device, "stream": flags.stream,
            "ranks": ranks,
        }  # fmt: skip
        if not ranks.first:
            help_fit(environment, dataset, flags.out, **common)
            return
        stack.enter_context(alone(flags.out))
        tracker = stack.enter_context(track("fit", flags, flags.out))
        show = stack.enter_context(epochs_bar(settings.epochs, tracker=tracker))
        model = fit_model(environment, dataset, flags.out, report=show, **common)
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
    report: Callable[[EpochReport], None] | None = None, ranks: Ranks = ALONE,
) -> Model:  # fmt: skip
    """Fit and save a model; killed at any instant, the same call goes on from the last finished epoch.

    Data that exceed memory, or any with `stream`, stay on the disk and are read while training goes on. Without
    a `shape` there is a block per object, or where the environment has no fixtures one for all. With several
    `ranks` this is what the first process does, `help_fit` what the others do.

    Raises:
        UserError: too few episodes, or data of another environment.
        ModelError: a setting that makes no sense.
    """
    data = _data(dataset, seed, device, stream)
    dynamics, epochs = _begun(environment, data, out, seed, shape, settings, ranks)
    history: list[dict[str, Any]] = []
    for epoch in epochs:
        history.append(_line(epoch))
        if report:
            report(epoch)
    where = data.held_out.obs.device
    notes = {
        "data": dataset.digest, "transitions": dataset.steps, "seed": seed, "curve": history,
        **calibrate(dynamics, data.segments.to(where), data.held_out), **recalibrate(dynamics, data.valid, seed),
    }  # fmt: skip
    been = coverage(environment.spec, dataset)
    pool, states = (
        _sample_with_states(data.train, seed) if environment.needs_state else (_sample(data.some, seed), None)
    )
    states = None if states is None else states.to(where)
    model = Model(environment, dynamics, pool.to(where), been, notes, states=states)
    model.save(out)
    (out / STATE).unlink(missing_ok=True)
    return model


def help_fit(
    environment: Environment, dataset: Dataset, out: Path, *, seed: int, shape: EnsembleConfig | None,
    settings: FitConfig | None, device: str, stream: bool, ranks: Ranks,
) -> None:  # fmt: skip
    """What every process but the first does in `fit_model`: train its members, write nothing."""
    data = _data(dataset, seed, device, stream)
    for _ in _begun(environment, data, out, seed, shape, settings, ranks)[1]:
        pass


@dataclass(frozen=True)
class _Data:
    """What is learned from, what judges it, and what scales and samples are taken from."""

    train: Pool
    valid: Pool
    source: Transitions | Streamed
    some: Transitions
    held_out: Transitions
    segments: Segments


def _data(dataset: Dataset, seed: int, device: str, stream: bool) -> _Data:
    if len(dataset) < LEAST_EPISODES:
        raise UserError(f"{dataset.path}: {len(dataset)} episodes are too few to fit a model; collect more")
    where = pick_device(device)
    train, valid = dataset.split(SHARE, seed=0)
    segments = stretches(valid, seed, count=SEGMENTS)
    if stream or exceeds_memory(dataset.pool):
        source, reserve = (streamed(part, dataset.digest, where) for part in (train, valid))
        some, held_out = source.sample(), reserve.sample(HELD_OUT)
        return _Data(train, valid, source, some, held_out.to(where), segments)
    some = in_memory(train)
    return _Data(train, valid, some, some, in_memory(valid).to(where), segments)


def _begun(
    environment: Environment, data: _Data, out: Path, seed: int, shape: EnsembleConfig | None,
    settings: FitConfig | None, ranks: Ranks,
) -> tuple[EnsembleDynamics, Iterator[EpochReport]]:  # fmt: skip
    shape = shape or EnsembleConfig(structure="objects" if environment.spec.fixtures else "dense")
    generator = torch.Generator().manual_seed(seed)
    dynamics = EnsembleDynamics(model_layout(environment.spec), shape, generator).to(data.held_out.obs.device)
    return dynamics, fit(
        dynamics, data.source, data.held_out, settings, seed, segments=data.segments, state=out / STATE,
        ranks=ranks,
    )  # fmt: skip


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
