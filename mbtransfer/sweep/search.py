"""Search by Optuna: proposals, early stopping and importance of settings.

The trials on the disk are all that is known: each question builds a study from them, so that a sweep can be killed at
any instant, and any number of workers sees the same.
"""

import itertools
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from mbtransfer.errors import UserError

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.importance import MeanDecreaseImpurityImportanceEvaluator, get_param_importances
    from optuna.pruners import SuccessiveHalvingPruner
    from optuna.samplers import BaseSampler, GPSampler, RandomSampler
    from optuna.trial import TrialState, create_trial
except ImportError as error:
    raise UserError("Optuna is not installed: pip install 'mbtransfer[sweeps]'") from error

from mbtransfer.sweep.parameters import Parameter, SweepSpec, flat_values, nested

if TYPE_CHECKING:
    from mbtransfer.sweep.trial import Trial

DRAWS = 50
"""Draws in search of parameters that were not tried yet."""

STARTUP = 5
"""Random trials before the Bayesian search begins."""

TREES = 200
"""Of the random forest that finds the importances."""


def propose(content: Mapping[str, Any], trials: "Sequence[Trial]", seed: int) -> dict[str, Any] | None:
    """Parameters of the next trial, decided by the trials so far and the seed; None when all were tried.

    Raises:
        UserError: a grid over a parameter whose values cannot be counted.
    """
    spec = SweepSpec.model_validate(content)
    known = [trial.params for trial in trials]
    grids = {name: one.grid() for name, one in spec.flat.items()}
    if spec.method == "grid" or all(grid is not None for grid in grids.values()):
        for name, grid in grids.items():
            if grid is None:
                kind = spec.flat[name].kind
                raise UserError(
                    f"the sweep cannot be searched: a grid needs values, which {name} ({kind}) has not"
                )
        every = itertools.product(*(grid or [] for grid in grids.values()))
        left = (nested(dict(zip(grids, values, strict=True)), spec.parameters) for values in every)
        first = next((params for params in left if params not in known), None)
        if spec.method == "grid" or first is None:
            return first
    for draw in range(DRAWS):
        params = _draw(spec, trials, zlib.crc32(f"{seed} {len(trials)} {draw}".encode()), draw)
        if params not in known:
            return params
    return None


def _draw(spec: SweepSpec, trials: "Sequence[Trial]", seed: int, draw: int) -> dict[str, Any]:
    """One proposal; the first is the method's, further ones are random."""
    sampler: BaseSampler = RandomSampler(seed)
    if spec.method == "bayes" and not draw:
        sampler = GPSampler(seed=seed, n_startup_trials=STARTUP)
    space = _space(spec)
    with _quiet():
        study = _study(spec, trials if spec.method == "bayes" else [], sampler)
        found = study.ask(space).params
    values = {
        name: one.at(0.5) if name not in found
        else (one.values or ())[found[name]] if isinstance(space[name], CategoricalDistribution)
        else one.at(found[name])
        for name, one in spec.flat.items()
    }  # fmt: skip
    return nested(values, spec.parameters)


def _space(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """For Bayes, values to choose from by their index; all else by its quantile."""
    return {
        name: CategoricalDistribution(range(len(one.values)))
        if one.values is not None and spec.method == "bayes"
        else FloatDistribution(0.0, 1.0)
        for name, one in spec.flat.items()
        if one.varies
    }


def _study(spec: SweepSpec, trials: "Sequence[Trial]", sampler: BaseSampler | None = None) -> optuna.Study:
    """A study that has seen the trials."""
    study = optuna.create_study(direction=spec.metric.goal, sampler=sampler or RandomSampler(0))
    space = _space(spec)
    for trial in trials:
        if trial.state == "running":
            continue
        values = flat_values(trial.params, spec.parameters)
        told = trial.metric if trial.metric is not None and math.isfinite(trial.metric) else None
        params = {name: _place(spec.flat[name], values[name], space[name]) for name in space}
        # A trial that was stopped counts with what it had come to, as in W&B's search.
        failed = trial.state == "failed" or told is None
        state, value = (TrialState.FAIL, None) if failed else (TrialState.COMPLETE, told)
        study.add_trial(create_trial(state=state, value=value, params=params, distributions=space))
    return study


def _place(one: Parameter, value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return (one.values or ()).index(value)
    return min(max(one.share(value), 0.0), 1.0)


def stops(content: Mapping[str, Any], trials: "Sequence[Trial]") -> bool:
    """Whether the last trial, which is running, does too badly to go on.

    Successive halving (Li et al. 2018, "Massively parallel hyperparameter tuning"): after `min_iter`, `min_iter * eta`,
    ... points, a trial goes on if it is among the best 1/eta of those that came as far.
    """
    spec = SweepSpec.model_validate(content)
    if spec.early_terminate is None:
        return False
    eta = max(2, round(spec.early_terminate.eta))
    pruner = SuccessiveHalvingPruner(min_resource=spec.early_terminate.first, reduction_factor=eta)
    with _quiet():
        study = _study(spec, [])
        return any([_reports(study, pruner, spec, trial) for trial in trials][-1:])


def _reports(study: optuna.Study, pruner: SuccessiveHalvingPruner, spec: SweepSpec, trial: "Trial") -> bool:
    """Tell the study of a trial point by point, as it went; whether it should have ended at its last one."""
    storage, ended = study._storage, False
    asked = study.ask()
    points = [point[spec.metric.name] for point in trial.history if spec.metric.name in point]
    for step, value in enumerate(points, 1):
        asked.report(value, step)
        ended = pruner.prune(study, storage.get_trial(asked._trial_id))
        if ended:
            break
    if trial.state != "running":
        study.tell(asked, state=TrialState.FAIL)
    return ended


def best_metric(content: Mapping[str, Any], trial: "Trial") -> float | None:
    """The best value of the metric that a trial has had, in its summary or on the way; None if it has had none."""
    metric = SweepSpec.model_validate(content).metric
    told = [one[metric.name] for one in (trial.figures, *trial.history) if metric.name in one]
    finite = [float(value) for value in told if math.isfinite(value)]
    return (max if metric.goal == "maximize" else min)(finite, default=None)


def importance(params: pd.DataFrame, metric: "pd.Series[float]") -> dict[str, float]:
    """Share of each parameter in the explained variance of the metric, greatest first; they add up to 1.

    By the decrease of impurity in a random forest, as on W&B's page. Zero for all where nothing changed.
    """
    if metric.nunique() < 2:
        return dict.fromkeys(map(str, params), 0.0)
    columns = {str(name): _as_numbers(params[name]) for name in params}
    varied = {name: values for name, values in columns.items() if values.nunique() > 1}
    space: dict[str, BaseDistribution] = {
        name: FloatDistribution(float(values.min()), float(values.max())) for name, values in varied.items()
    }
    with _quiet():
        study = optuna.create_study(sampler=RandomSampler(0))
        for row, value in enumerate(metric):
            given = {name: float(values.iloc[row]) for name, values in varied.items()}
            study.add_trial(create_trial(value=float(value), params=given, distributions=space))
        forest = MeanDecreaseImpurityImportanceEvaluator(n_trees=TREES, seed=0)
        found = get_param_importances(study, evaluator=forest) if space else {}
    shares = {name: float(found.get(name, 0.0)) for name in columns}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _as_numbers(values: "pd.Series[Any]") -> "pd.Series[float]":
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("float64")
    return values.astype(str).astype("category").cat.codes.astype("float64")


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna tells of every study and warns of what is experimental."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
