"""Measuring again what a card claims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer.errors import UserError
from mbtransfer.evaluation.config import EvalContext
from mbtransfer.evaluation.evaluate import evaluate_runs
from mbtransfer.evaluation.parallel import Run, make_runs
from mbtransfer.evaluation.results_store import ResultsStore
from mbtransfer.evaluation.statistics import wilson_interval
from mbtransfer.protocols.protocol import check_recorded_settings
from mbtransfer.runtime.executors import Executor
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sharing.agreement import LEVEL, holm, lowest_inside, return_p, success_p
from mbtransfer.sharing.card import REMEDY, Card, Measurement, TaskFigure, read_card
from mbtransfer.sharing.contents import CARD, PAGE, check_files, strays
from mbtransfer.sharing.measured import config_of
from tasks.errors import TaskError
from tasks.recipe import find_recipe
from tasks.recipe.recipe import Recipe
from tasks.task import Task


@dataclass(frozen=True)
class Again:
    """A figure of a card, measured again.

    Attributes:
        name: of the task, recipe, or split.
        measurement: number of the measurement in the card.
        measure: `success` or `return`.
        claimed: what the card says of the tasks that were run.
        claimed_ci95: its interval.
        found: the new figure.
        found_ci95: its interval; None for a return.
        claimed_episodes: how many the claim rests on.
        episodes: how many the new figure rests on.
        p: p-value of the hypothesis that both are the same; None where too few episodes tell.
        lowest: the lowest success rate that would still have been inside; None for a return.
        outside: whether it is outside, by Holm's correction over all figures.
    """

    name: str
    measurement: int
    measure: str
    claimed: float
    claimed_ci95: tuple[float, float]
    found: float
    found_ci95: tuple[float, float] | None
    claimed_episodes: int
    episodes: int
    p: float | None
    lowest: float | None = None
    outside: bool = False


def check_card(folder: Path) -> tuple[Card, str]:
    """The card of a folder and its checksum, when every file is what it says.

    Raises:
        UserError: the card or a file was edited, a file is missing, or one was added.
    """
    card, checksum = read_card(folder)
    check_files(folder, card.files, REMEDY)
    if added := strays(folder, card.kind, card.files):
        raise UserError(
            f"{folder / added[0]} was added: the card does not list it; push the folder with a new card"
        )
    if PAGE not in card.files:
        raise UserError(f"{folder / CARD} does not list {PAGE}; {REMEDY}")
    return card, checksum


@dataclass(frozen=True)
class Wanted:
    """What of a card is measured again.

    Attributes:
        tasks: names of tasks and recipes; empty for all.
        episodes: per task and seed; None for those of the card.
        first_seed: seeds are counted from here, as many as the card has; None for those of the card.
        recipes: files of recipes that the card names and the package does not have.
    """

    tasks: tuple[str, ...] = ()
    episodes: int | None = None
    first_seed: int | None = None
    recipes: tuple[str, ...] = ()

    def of(self, card: Card) -> list[tuple[int, list[TaskFigure]]]:
        """The figures that are wanted, by the number of their measurement.

        Raises:
            UserError: a name that the card does not have, or there is nothing.
        """
        names = {one.name for measured in card.measurements for one in measured.tasks}
        if unknown := [name for name in self.tasks if name not in names]:
            raise UserError(
                f"the card has no figure of {unknown[0]!r}; it has {', '.join(sorted(names)) or 'none'}"
            )
        chosen = (
            (number, [one for one in measured.tasks if not self.tasks or one.name in self.tasks])
            for number, measured in enumerate(card.measurements)
        )
        return [(number, tasks) for number, tasks in chosen if tasks]

    def seeds(self, figure: TaskFigure) -> tuple[int, ...]:
        """Seeds with which a figure is measured again."""
        if self.first_seed is None:
            return figure.seeds
        return tuple(range(self.first_seed, self.first_seed + len(figure.seeds)))


def measure_again(
    folder: Path, card: Card, wanted: Wanted, *, workers: int | Executor = 1, rows: Path | None = None,
    console: Terminal | None = None, **given: Any,
) -> tuple[list[Again], list[str]]:  # fmt: skip
    """Run what a card claims again, and compare.

    Args:
        folder: of the model.
        card: of the same.
        wanted: what to run.
        workers: number of processes, or an executor.
        rows: folder for the new rows, in which an interrupted run continues; None to keep none.
        console: where a progress bar is drawn.
        given: fields of `EvalConfig` that no card has: `device`, `threads`, `task_file`, `trust_code`.

    Returns:
        The figures, and a sentence for each that cannot be run here.

    Raises:
        UserError, TaskError, ModelError, PlannerError: the card's settings cannot be run, or the model is another.
    """
    figures: list[Again] = []
    unrun: list[str] = []
    for number, claims in wanted.of(card):
        measured = card.measurements[number]
        check_recorded_settings(
            {"planner": measured.settings.get("planner")},
            str(folder / CARD),
            trust_code=bool(given.get("trust_code")),
        )
        context = config_of(measured.settings, folder, **given).resolve()
        _check_model(context, card, measured)
        context.environment.need_simulator("verify", "`mbtransfer verify --tasks` needs one")
        runs, missing = _runs(context, claims, wanted)
        unrun += missing
        file = rows / f"measurement-{number}.csv" if rows else None
        frame = evaluate_runs(context, runs, workers=workers, rows=file, console=console) if runs else None
        if frame is not None:
            figures += _compared(number, measured, claims, frame)
    return _judged(figures), unrun


def _check_model(context: EvalContext, card: Card, measured: Measurement) -> None:
    assert context.model is not None
    if not context.model.digest == card.digest == measured.settings.get("model_digest"):
        raise UserError(
            f"the card's figures are of another model ({card.digest}, not {context.model.digest})"
        )


def _runs(context: EvalContext, claims: Sequence[TaskFigure], wanted: Wanted) -> tuple[list[Run], list[str]]:
    """Runs of the claims, and a sentence for each that this machine does not have or knows otherwise."""
    store = ResultsStore(Path("none.csv"), context)
    runs: list[Run] = []
    missing: list[str] = []
    own = {find_recipe(name, context.environment).name: name for name in wanted.recipes}
    for claim in claims:
        try:
            asked = _find(context, claim, own)
        except (TaskError, UserError) as error:
            missing.append(f"{claim.name} was not run: {error}")
            continue
        some = make_runs([asked], wanted.seeds(claim), wanted.episodes or claim.episodes, context.own_tasks)
        if store.settings_of(some[0])["definition"] != claim.definition:
            missing.append(
                f"{claim.name} was not run: it asks for something else here than where it was measured"
            )
            continue
        runs += some
    return runs, missing


def _find(context: EvalContext, claim: TaskFigure, own: Mapping[str, str]) -> Task | Recipe:
    if claim.kind == "recipe" and claim.split != "user":
        return find_recipe(own.get(claim.name, claim.name), context.environment)
    try:
        return context.find_task_or_recipe(claim.name)
    except TaskError as error:
        if claim.split != "user":
            raise
        raise UserError("it is the author's own; give the file that defines it with --task-file") from error


def _compared(
    number: int, measured: Measurement, claims: Sequence[TaskFigure], rows: pd.DataFrame
) -> Iterator[Again]:
    new = {(kind, task): group for (kind, task), group in rows.groupby(["kind", "task"])}
    run = [one for one in claims if (one.kind, one.name) in new]
    for one in run:
        group = new[one.kind, one.name]
        yield _return(number, one, group) if one.endless else _success(number, one.name, [one], [group])
    for split in measured.splits:
        inside = [one for one in run if one.split == split.split and not one.endless]
        if len(inside) > 1:
            whole = len(inside) == split.tasks
            name = f"{split.split}: {'all' if whole else f'{len(inside)} of'} {split.tasks}"
            again = _success(number, name, inside, [new[one.kind, one.name] for one in inside])
            yield replace(again, claimed_ci95=split.success_ci95) if whole else again


def _success(number: int, name: str, claims: Sequence[TaskFigure], groups: Sequence[pd.DataFrame]) -> Again:
    old = [(one.successes, one.total) for one in claims]
    new = [(int(group["success"].sum()), len(group)) for group in groups]
    (had, of), (has, out_of) = (tuple(map(sum, zip(*counts, strict=True))) for counts in (old, new))
    return Again(
        name, number, "success", had / of, wilson_interval(had, of), has / out_of, wilson_interval(has, out_of), of,
        out_of, success_p(old, new),
    )  # fmt: skip


def _return(number: int, claim: TaskFigure, rows: pd.DataFrame) -> Again:
    p = return_p(claim.return_mean, claim.return_std, claim.total, rows["return_"].tolist())
    return Again(
        claim.name, number, "return", claim.return_mean, claim.return_ci95, float(rows["return_"].mean()), None,
        claim.total, len(rows), p,
    )  # fmt: skip


def _judged(figures: Sequence[Again]) -> list[Again]:
    """The same, each called inside or outside; all of them are one family for Holm's correction."""
    told = [one for one in figures if one.p is not None]
    outside = dict(zip(map(id, told), holm([one.p for one in told if one.p is not None]), strict=True))
    return [
        replace(one, outside=outside.get(id(one), False), lowest=_lowest(one, LEVEL / max(1, len(told))))
        for one in figures
    ]


def _lowest(one: Again, level: float) -> float | None:
    if one.measure != "success":
        return None
    return lowest_inside(
        (round(one.claimed * one.claimed_episodes), one.claimed_episodes), one.episodes, level
    )


def as_dict(figures: Sequence[Again], unrun: Sequence[str], checksum: str) -> dict[str, Any]:
    """The content of `verify --json`."""
    return {
        "card": checksum, "level": LEVEL, "figures": [asdict(one) for one in figures], "not_run": list(unrun),
        "outside": sum(one.outside for one in figures),
    }  # fmt: skip
