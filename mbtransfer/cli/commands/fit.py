"""`mbtransfer fit`: fit an ensemble dynamics model to a dataset."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from mbtransfer.cli.changes import show_changes
from mbtransfer.config import FitConfig
from mbtransfer.data import Dataset
from mbtransfer.errors import UserError
from mbtransfer.model import Model
from mbtransfer.runtime.files import check_writable, output_lock, write_json
from mbtransfer.runtime.streams import say
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.tracking import Artifact, Tracker, track
from mbtransfer.training.fit import (
    fit_model,
    fit_worker,
    settings_of,
    suited,
)
from mbtransfer.training.progress import epochs_bar
from mbtransfer.training.refresh import refresh_model, refresh_settings
from tasks.registry import make_recorded
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.distributed import process_group
from world_models.training.trainer import TrainingConfig

KEPT = ("structure", "hidden", "layers", "members", "head")
"""Flags that shape the network, which a continued model has already."""

WHOLE = ("stream", "moving", "choose")
"""Flags that a continued training cannot follow: its batches are mixed in memory, and the pool has no segments."""


def run_fit(flags: FitConfig) -> None:
    """Fit a model with a progress bar, and print its error; or continue one, and print what changed.

    Raises:
        UserError, ModelError, TaskError: the input is wrong.
    """
    check_source(flags)
    check_writable(flags.json)
    if flags.data is not None:
        _fit_new(flags, flags.data)
    elif flags.continue_with is not None and flags.model is not None:
        _continue(flags, flags.model, flags.continue_with)


def check_source(flags: FitConfig) -> None:
    """See that the flags ask for a new model or for a continued one, not for a mixture.

    Raises:
        UserError: they do not.
    """
    if (flags.data is None) == (flags.continue_with is None):
        raise UserError("give either --data, or --continue-with and --model")
    usual = {field.name: field.default for field in fields(flags)}
    if flags.continue_with is None:
        given = next((name for name in ("model", "replay") if getattr(flags, name) != usual[name]), None)
        if given:
            raise UserError(f"--{given} is for --continue-with; a new model is fitted from --data alone")
        return
    if flags.model is None:
        raise UserError("--continue-with needs --model, the model to continue")
    if flags.out.resolve() == flags.model.resolve():
        raise UserError(f"--out {flags.out} is the model itself; name another folder")
    if flags.replay == 1:
        raise UserError("--replay must be below 1: nothing new would be learned")
    for names, why in ((KEPT, "the model keeps its shape"), (WHOLE, "it is for new models only")):
        given = next((name for name in names if getattr(flags, name) != usual[name]), None)
        if given:
            raise UserError(f"--{given} cannot be given with --continue-with: {why}")


def _fit_new(flags: FitConfig, data: Path) -> None:
    dataset = Dataset.open(data)
    environment = make_recorded(dataset.header.env, str(data), trust_code=flags.trust_code)
    flags = suited(flags, environment.spec)
    settings, shape = settings_of(TrainingConfig, flags), settings_of(EnsembleConfig, flags)
    with ExitStack() as stack:
        ranks, device = stack.enter_context(process_group(flags.device))
        common: dict[str, Any] = {
            "seed": flags.seed, "shape": shape, "settings": settings, "device": device, "stream": flags.stream,
            "ranks": ranks,
        }  # fmt: skip
        if not ranks.first:
            fit_worker(environment, dataset, flags.out, **common)
            return
        stack.enter_context(output_lock(flags.out))
        tracker = stack.enter_context(track("fit", flags, flags.out))
        show = stack.enter_context(epochs_bar(settings.epochs, tracker=tracker))
        model = fit_model(environment, dataset, flags.out, report=show, **common)
        found = fit_summary(model)
        if flags.json:
            write_json(flags.json, found)
        tracker.uses(Artifact("dataset", str(data), dataset.digest))
        _keep(flags, tracker, found)
    say(
        f"{flags.out}: fitted on {found['transitions']:,} transitions; {found['horizon_error']['horizon'][-1]} steps "
        f"ahead it errs by {found['error']:.0%} of what 'nothing moves' does"
    )


def _continue(flags: FitConfig, folder: Path, data: Path) -> None:
    with ExitStack() as stack:
        ranks, device = stack.enter_context(process_group(flags.device))
        if ranks.size > 1:
            raise UserError("--continue-with takes minutes in one process; start it without torchrun")
        model = Model.load(folder, device=device, trust_code=flags.trust_code)
        dataset = Dataset.open(data)
        settings = refresh_settings(flags, model.environment.spec)
        stack.enter_context(output_lock(flags.out))
        tracker = stack.enter_context(track("fit", flags, flags.out))
        show = stack.enter_context(epochs_bar(settings.epochs, tracker=tracker))
        refreshed = refresh_model(
            model, dataset, flags.out, settings, replay=flags.replay, seed=flags.seed, report=show
        )
        found = fit_summary(refreshed.model) | refreshed.changes
        if flags.json:
            write_json(flags.json, found)
        tracker.uses(Artifact.of("model", folder, folder / MANIFEST))
        tracker.uses(Artifact("dataset", str(data), dataset.digest))
        _keep(flags, tracker, found)
    show_changes(Terminal(), refreshed.changes)
    say(f"{flags.out}: continued {folder} with {dataset.steps:,} new transitions")


def _keep(flags: FitConfig, tracker: Tracker, found: Mapping[str, Any]) -> None:
    tracker.makes(Artifact.of("model", flags.out, flags.out / MANIFEST))
    tracker.table("epochs", found["curve"])
    tracker.summary(found)


def fit_summary(model: Model) -> dict[str, Any]:
    """The content of `fit --json`; `error` is that of the longest roll-out, as a share of 'nothing moves'."""
    errors = model.notes["horizon_error"]
    known = {name: model.notes[name] for name in ("transitions", "data", "seed", "curve", "horizon_error")}
    return known | {"error": errors["model"][-1] / errors["naive"][-1], "model": model.digest}
