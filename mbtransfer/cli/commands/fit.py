"""`mbtransfer fit`: fit an ensemble dynamics model to a dataset."""

from contextlib import ExitStack
from typing import Any

from mbtransfer.config import FitConfig
from mbtransfer.data import Dataset
from mbtransfer.model import Model
from mbtransfer.runtime.files import output_lock, write_json
from mbtransfer.runtime.streams import say
from mbtransfer.tracking import Artifact, track
from mbtransfer.training.fit import (
    _of,
    fit_model,
    fit_worker,
    suited,
)
from tasks.registry import make_recorded
from world_models.checkpoint.checkpoint import MANIFEST
from world_models.dynamics.ensemble import EnsembleConfig
from world_models.training.distributed import process_group
from world_models.training.trainer import TrainingConfig


def run_fit(flags: FitConfig) -> None:
    """Fit a model with a progress bar, and print its error."""
    from mbtransfer.runtime.files import check_writable
    from mbtransfer.training.progress import epochs_bar

    check_writable(flags.json)
    dataset = Dataset.open(flags.data)
    environment = make_recorded(dataset.header.env, str(flags.data), trust_code=flags.trust_code)
    flags = suited(flags, environment.spec)
    settings, shape = _of(TrainingConfig, flags), _of(EnsembleConfig, flags)
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
        tracker.uses(Artifact("dataset", str(flags.data), dataset.digest))
        tracker.makes(Artifact.of("model", flags.out, flags.out / MANIFEST))
        tracker.table("epochs", found["curve"])
        tracker.summary(found)
    say(
        f"{flags.out}: fitted on {found['transitions']:,} transitions; {found['horizon_error']['horizon'][-1]} steps "
        f"ahead it errs by {found['error']:.0%} of what 'nothing moves' does"
    )


def fit_summary(model: Model) -> dict[str, Any]:
    """The content of `fit --json`; `error` is that of the longest roll-out, as a share of 'nothing moves'."""
    errors = model.notes["horizon_error"]
    known = {name: model.notes[name] for name in ("transitions", "data", "seed", "curve", "horizon_error")}
    return known | {"error": errors["model"][-1] / errors["naive"][-1], "model": model.digest}
