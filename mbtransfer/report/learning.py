"""How learning went: the fit's curves, success by number of labels, and adaptation to a new task."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mbtransfer import statistics
from mbtransfer.report import figure
from mbtransfer.report.figure import Figure
from mbtransfer.report.material import FIT, LARGEST, SUMMARY, Material, MissingPart, columns


def loss_curve(material: Material) -> Figure:
    """Training and held-out loss by epoch."""
    fit = _fit(material, ["train_loss", "valid_loss"])
    with figure.axes() as on:
        on.plot(fit["train_loss"], color=figure.ORACLE, linestyle="--", label="training")
        on.plot(fit["valid_loss"], color=figure.LEARNED, label="held-out episodes")
        if (fit[["train_loss", "valid_loss"]] > 0).all(axis=None):
            on.set_yscale("log")
            figure.plain_logarithms(on.yaxis)
        on.set(xlabel="epoch", ylabel="loss")
        figure.whole_numbers(on)
        figure.legend_above(on)
        svg = figure.drawn(on, "Loss of the dynamics by epoch, in training and on held-out episodes")
    caption = (
        "Lower is better. The solid line is measured on whole episodes kept out of training; "
        "where it turns up while the dashed line falls, the model begins to memorise."
    )
    return Figure("Loss of the dynamics", caption + _rounds(fit), svg)


def rollout_curve(material: Material) -> Figure:
    """Multi-step prediction error by epoch."""
    fit = _fit(material, ["rollout_error"])
    with figure.axes() as on:
        on.plot(fit["rollout_error"], color=figure.LEARNED, label="held-out episodes")
        on.set(xlabel="epoch", ylabel="error (normalised)")
        on.set_ylim(bottom=0)
        figure.whole_numbers(on)
        figure.legend_above(on)
        svg = figure.drawn(on, "Multi-step prediction error by epoch")
    caption = (
        "The model predicts many steps in a row, each from its own last prediction, as planning does. "
        "This error matters more to the plans than the one-step loss."
    )
    return Figure("Error of whole predictions", caption + _rounds(fit), svg)


def labels_curve(material: Material) -> Figure:
    """Success on held-out tasks by number of labels behind each reward head."""
    curve = _labels_from_rows(material)
    source = "with 95% bootstrap intervals"
    if curve is None:
        labels, success = columns(material.part(SUMMARY, "labels"), ["labels", "success"], "labels")
        curve = pd.DataFrame({"labels": labels, "success": success}).sort_values("labels")
        source = "means over tasks"
    if (curve["labels"] <= 0).any():
        raise MissingPart("labels holds a count that is not positive.")
    with figure.axes() as on:
        if "low" in curve:
            on.vlines(curve["labels"], curve["low"], curve["high"], color=figure.LEARNED, alpha=0.45, lw=6)
        on.plot(curve["labels"], curve["success"], "o-", color=figure.LEARNED)
        on.set_xscale("log")
        on.xaxis.set_major_locator(FixedLocator(list(curve["labels"])))
        on.xaxis.set_minor_locator(NullLocator())
        on.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        on.set_xlim(curve["labels"].min() / 1.6, curve["labels"].max() * 1.6)
        on.set(xlabel="labelled transitions per reward head", ylabel="success")
        figure.percent_axis(on)
        svg = figure.drawn(on, "Success by number of labels per reward head")
    caption = (
        "How many labelled steps a new task needs before its learned reward guides the planner well; "
        f"{source}. The dynamics stay the same throughout."
    )
    return Figure("Success by labels per head", caption, svg)


def adaptation_curve(material: Material) -> Figure:
    """Success on the new task and on the old ones by episodes of fine-tuning."""
    adapt = material.part(SUMMARY, "adapt")
    episodes, new, old = columns(adapt, ["episodes", "new", "old"], "adapt")
    with figure.axes() as on:
        on.plot(episodes, old, "s--", color=figure.ORACLE, label="old tasks")
        on.plot(episodes, new, "o-", color=figure.WARM, label="new task")
        on.set_xticks(list(episodes))
        on.set_xticklabels([f"{count:g}" for count in episodes])
        on.set(xlabel="episodes in the new task", ylabel="success")
        figure.percent_axis(on)
        figure.legend_above(on)
        svg = figure.drawn(on, "Success on the new task and on old tasks by episodes of adaptation")
    caption = (
        "Fine-tuning on a few episodes of a task that the shared data does not cover. Its line should rise "
        f"fast, and the dashed one stay level: {_forgotten(old)}."
    )
    return Figure("Adapting to a new task", caption, svg)


def _fit(material: Material, names: list[str]) -> pd.DataFrame:
    material.need(FIT)
    assert material.fit is not None
    missing = [name for name in names if name not in material.fit]
    if missing:
        raise MissingPart(f"{FIT} has no column {missing[0]}.")
    fit = material.fit.apply(pd.to_numeric, errors="coerce")
    fit = fit[(fit[names].abs() <= LARGEST).all(axis=1)].reset_index(drop=True)
    if fit.empty:
        raise MissingPart(f"{FIT} holds no finite {names[0]}.")
    fit.index += 1  # epochs count through when the file holds several rounds of fitting
    return fit


def _rounds(fit: pd.DataFrame) -> str:
    """A sentence on the rounds of fitting when there were several: `epoch` starts anew in each."""
    rounds = 1 + int((fit["epoch"].diff() < 0).sum()) if "epoch" in fit else 1
    return f" Shown one after the other: {rounds} rounds of fitting." if rounds > 1 else ""


def _labels_from_rows(material: Material) -> pd.DataFrame | None:
    """The curve with intervals when the rows hold the same held-out tasks with several numbers of labels."""
    if material.rows is None:
        return None
    rows = material.rows
    rows = rows[(rows["dynamics"] == "learned") & (rows["reward"] == "learned")]
    rows = rows[(rows["split"] == "held_out") & (rows["labels"] > 0)]
    counts = sorted(set(rows["labels"]))
    shared = rows.groupby("task")["labels"].nunique()
    rows = rows[rows["task"].isin(shared.index[shared == len(counts)])]
    if len(counts) < 2 or rows.empty:
        return None
    return pd.DataFrame([_labels_point(count, rows[rows["labels"] == count]) for count in counts])


def _labels_point(count: int, rows: pd.DataFrame) -> dict[str, Any]:
    split = statistics.summarise_splits(statistics.headline(rows, "learned"))["held_out"]
    low, high = split["success_ci95"]
    return {"labels": count, "success": split["success_mean"], "low": low, "high": high}


def _forgotten(old: np.ndarray) -> str:
    lost = 100 * (old[0] - old.min())
    return f"old tasks lose at most {lost:.1f} percentage points" if lost > 0.05 else "old tasks lose nothing"
