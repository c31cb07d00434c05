"""Continuing the training of a fitted model with new episodes, and what it changes.

Each batch is part new transitions, part replay of those that the model carries along, so that what is old is not
forgotten (experience replay for continual learning; Rolnick, Ahuja, Schwarz, Lillicrap and Wayne 2019).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mbtransfer.config import FitConfig
from mbtransfer.data import Dataset, Pool
from mbtransfer.data.coverage import coverage
from mbtransfer.diagnostics.calibration import calibrate, recalibrate, stretches
from mbtransfer.diagnostics.drift import OneStep, column_groups, drift, one_step
from mbtransfer.errors import UserError
from mbtransfer.model import POOL, Model
from mbtransfer.training.fit import LEAST_EPISODES, SEGMENTS, STATE, curve_entry, suited, training_config
from tasks.spec import EnvSpec
from world_models.dynamics.ensemble import EnsembleDynamics
from world_models.normalizer import moved
from world_models.training.batches import replay_weights
from world_models.training.trainer import EpochReport, TrainingConfig, fit
from world_models.transitions import Transitions, check_sizes
from world_models.uncertainty.conformal import Intervals

EPOCHS = 5
SLOWER = 0.1
"""Learning rate as a share of that of a first fit."""

SHARE = 0.2
"""Share of the new episodes that is held out: more than in a first fit, as new logs are few. It contains those that
`mbtransfer calibration` holds out."""

OLD_SHARE = 0.2
"""Share of the model's pool that is not replayed, to see what is forgotten."""

MOST = 2**18
"""New transitions in memory; five epochs draw no more than half as many for each member."""

JUDGED = 20_000
"""Transitions of a kind by which a model is judged."""

LEAST = 20
"""Transitions in which a task's fixtures move, from which on its error is told."""

CONTINUES = "continues"
"""Key of a model's history among its notes: digests of `model` and `data`, per continuation, oldest first."""


@dataclass(frozen=True, eq=False)
class Refreshed:
    """The continued model, already saved.

    Attributes:
        model: with its new dynamics, intervals, coverage and pool.
        changes: what `fit --json` tells of it: `continues`, `episodes`, `drift`, `groups`, `tasks`.
    """

    model: Model
    changes: dict[str, Any]


def refresh_settings(flags: FitConfig, spec: EnvSpec) -> TrainingConfig:
    """A tenth of the learning rate of a first fit and few epochs, unless the flags say otherwise."""
    rate = flags.learning_rate
    usual = suited(flags, spec).learning_rate
    if rate is None and usual is not None:
        rate = SLOWER * usual
    return training_config(replace(flags, learning_rate=rate, epochs=flags.epochs or EPOCHS))


def refresh_model(
    model: Model, dataset: Dataset, out: Path, settings: TrainingConfig, *, replay: float = 0.5, seed: int = 0,
    report: Callable[[EpochReport], None] | None = None,
) -> Refreshed:  # fmt: skip
    """Continue the training with new episodes and save the result; the given model stays as it is.

    The normaliser is kept, so what the weights mean stays. Members that no epoch improves stay as they were. After a
    kill at any moment, the same call continues from the last finished epoch.

    Args:
        model: what to continue.
        dataset: new episodes, of which the model has seen none.
        out: folder for the result.
        settings: see `refresh_settings`.
        replay: share of each batch, and of the loss by which epochs are chosen, that is of the model's pool. Where the
            world itself has changed, old and new transitions contradict each other, and a model of both is of neither:
            a lower share then follows the new ones.
        seed: of shuffles and samples.
        report: called after each epoch.

    Raises:
        UserError: too few episodes, data of another environment, or data that the model was fitted on.
        ModelError: an invalid setting, or a model without intervals.
    """
    _check(model, dataset)
    old_intervals = Intervals.of(model.notes)
    train, valid = dataset.split(SHARE, seed=0)
    new, new_states = _take(train, _evenly(train.steps, min(MOST, train.steps)), model)
    held_out, _ = _take(valid, _evenly(valid.steps, min(JUDGED, valid.steps)), model)
    check_sizes(new, model.dynamics.layout)
    replayed, kept_apart = _parts(model.pool, seed)

    dynamics = deepcopy(model.dynamics)
    epochs = fit(
        dynamics, Transitions.join([new, replayed]), _blend(held_out, kept_apart, replay),
        replace(settings, elites=len(model.dynamics.elites)), seed,
        weights=replay_weights([len(new), len(replayed)], [1 - replay, replay]), keep_scales=True, state=out / STATE,
    )  # fmt: skip
    curve: list[dict[str, Any]] = []
    for epoch in epochs:
        curve.append(curve_entry(epoch))
        if report:
            report(epoch)

    link = {"model": model.digest, "data": dataset.digest}
    notes = {
        **model.notes, "data": _joint_digest(model.notes.get("data", ""), dataset.digest), "seed": seed, "curve": curve,
        "transitions": _seen(model) + dataset.steps, CONTINUES: [*model.notes.get(CONTINUES, ()), link],
        **calibrate(dynamics, stretches(valid, seed, count=SEGMENTS).to(model.device), held_out),
        **recalibrate(dynamics, valid, seed),
    }  # fmt: skip
    changes = {
        CONTINUES: notes[CONTINUES],
        "episodes": {"new": len(dataset), "held_out": len(valid)},
        **_changes(model, dynamics, old_intervals, dataset, held_out, kept_apart, seed),
    }
    pool, states = _mixed(model, new, new_states, dataset.steps, seed)
    been = model.coverage.plus(coverage(model.environment.spec, dataset))
    made = replace(model, dynamics=dynamics, pool=pool, states=states, coverage=been, notes=notes, heads={})
    made.save(out)
    (out / STATE).unlink(missing_ok=True)
    return Refreshed(made, changes)


def _check(model: Model, dataset: Dataset) -> None:
    path, env = dataset.path, model.environment.spec.name
    if dataset.header.env != env:
        raise UserError(f"{path} holds data of {dataset.header.env}, but the model is for {env}")
    if len(dataset) < LEAST_EPISODES:
        raise UserError(f"{path}: {len(dataset)} episodes are too few to continue with; collect more")
    known = {model.notes.get("data"), *(link["data"] for link in model.notes.get(CONTINUES, ()))}
    if dataset.digest in known:
        raise UserError(f"{path}: the model was fitted on just these data; give new episodes")


def _changes(
    model: Model, dynamics: EnsembleDynamics, intervals: Intervals, dataset: Dataset, held_out: Transitions,
    kept_apart: Transitions, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Drift in all new episodes, none of which the old model saw; errors before and after, by group and by task."""
    groups = column_groups(dynamics.layout)
    rows = _evenly(dataset.steps, min(JUDGED, dataset.steps))
    every, episode = _take(dataset.pool, rows, model)[0], dataset.pool.take(rows).episode
    drifted = drift(one_step(model.dynamics, intervals, every, seed), episode, groups)
    pairs: dict[str, tuple[OneStep, OneStep]] = {}
    for name, data in (("new", held_out), ("old", kept_apart)):
        before, after = (one_step(each, intervals, data, seed) for each in (model.dynamics, dynamics))
        pairs[name] = before, after
    found = {
        name: {kind: _errors(pair, columns) for kind, pair in pairs.items()}
        for name, columns in groups.items()
    }
    return {"drift": drifted, "groups": found, "tasks": _by_task(model, pairs["old"], kept_apart)}


def _by_task(model: Model, pair: tuple[OneStep, OneStep], old: Transitions) -> dict[str, Any]:
    """Of each source task the old-data error of its fixtures in the transitions in which any of them moves."""
    moves, found = moved(old.obs, old.next_obs), dict[str, Any]()
    for task in model.environment.tasks.values():
        columns = [column for fixture in task.fixtures for column in (fixture.position, fixture.velocity)]
        if task.split != "source" or not columns:
            continue
        rows = moves[:, [fixture.position for fixture in task.fixtures]].any(dim=1)
        count = int(rows.sum())
        errors = (
            _errors(pair, columns, rows) if count >= LEAST else dict.fromkeys(("before", "after", "lost"))
        )
        found[task.name] = {"transitions": count, **errors}
    return found


def _errors(
    pair: tuple[OneStep, OneStep], columns: Sequence[int], rows: Tensor | None = None
) -> Mapping[str, float | None]:
    """Errors as a share of that of 'nothing moves'; `lost` is how much it grew, negative where it fell."""
    before, after = (seen.relative_error(columns, rows) for seen in pair)
    lost = None if before is None or after is None else after - before
    return {"before": before, "after": after, "lost": lost}


def _take(
    pool: Pool, rows: Int[np.ndarray, " B"], model: Model
) -> tuple[Transitions, Float[Tensor, "B 2 S"] | None]:
    """Transitions of a pool, with the simulator's states before and after where the model keeps these."""
    some = pool.take(rows)
    data = Transitions(*map(torch.from_numpy, (some.obs, some.actions, some.next_obs))).to(model.device)
    if model.states is None:
        return data, None
    return data, torch.from_numpy(np.stack([some.state, some.next_state], axis=1)).to(model.device)


def _evenly(size: int, count: int) -> Int[np.ndarray, " B"]:
    """Numbers of `count` rows, evenly over `size`; repeated where there are more than that."""
    return np.arange(count) * size // count


def _parts(pool: Transitions, seed: int) -> tuple[Transitions, Transitions]:
    """What is replayed, and the part by which forgetting is judged."""
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    apart = max(1, round(OLD_SHARE * len(pool)))
    if apart >= len(pool):
        raise UserError(f"the model's pool of {len(pool)} transitions is too small to replay; fit it again")
    replayed, kept_apart = (rows.sort().values.to(pool.obs.device) for rows in (order[apart:], order[:apart]))
    return pool[replayed], pool[kept_apart]


def _blend(new: Transitions, old: Transitions, share: float) -> Transitions:
    """Both, evenly thinned or repeated so that `share` of the rows are old ones."""
    count = len(new) + len(old)
    replayed = min(round(share * count), count - 1)
    parts = [(new, count - replayed), (old, replayed)]
    return Transitions.join(
        [part[torch.from_numpy(_evenly(len(part), rows)).to(part.obs.device)] for part, rows in parts if rows]
    )


def _mixed(
    model: Model, new: Transitions, new_states: Tensor | None, steps: int, seed: int
) -> tuple[Transitions, Float[Tensor, "B 2 S"] | None]:
    """A pool of at most `POOL`, in which the new data have the share that they have of all data so far."""
    size = min(POOL, len(model.pool) + len(new))
    fresh = round(size * steps / (_seen(model) + steps))
    fresh = min(max(fresh, size - len(model.pool)), len(new))
    rng = np.random.default_rng(seed)
    kept, added = (
        torch.from_numpy(np.sort(rng.permutation(rows)[:count])).to(model.device)
        for rows, count in ((len(model.pool), size - fresh), (len(new), fresh))
    )
    pool = Transitions.join([model.pool[kept], new[added]])
    if model.states is None or new_states is None:
        return pool, None
    return pool, torch.cat([model.states[kept], new_states[added]])


def _seen(model: Model) -> int:
    """Transitions on which the model was fitted so far."""
    return int(model.notes.get("transitions", len(model.pool)))


def _joint_digest(old: str, new: str) -> str:
    return hashlib.sha256(f"{old}\n{new}\n".encode()).hexdigest()
