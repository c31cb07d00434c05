"""Table of a protocol's results beside published figures."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from mbtransfer import __version__
from mbtransfer.evaluation.results_store import read_results
from mbtransfer.evaluation.statistics import mean_interval, t_interval
from mbtransfer.protocols.protocol import MEASURES, Protocol, plans
from mbtransfer.protocols.runner import LATER_SEED, Found
from tasks.registry import make


def as_markdown(protocol: Protocol, found: Sequence[Sequence[Found]]) -> str:
    """Means over seeds with 95% intervals, steps, labels, time, and the figures of others.

    Args:
        protocol: what was run.
        found: what `run_seed` gave for each seed.
    """
    pools = [one for seed in found for one in seed]
    ways = {way: _rows(way, pools) for way in (*protocol.evaluate, *protocol.stripped)}
    seeds = " ".join(str(seed - LATER_SEED) for seed in sorted(ways["learned"]["seed"].unique()))
    means = _means(protocol)
    blank = "| " * (len(protocol.measured) + len(means) - 1)
    lines = [
        f"# {protocol.name}", "", protocol.about, "", f"    mbtransfer reproduce {protocol.name} --seeds {seeds}", "",
        f"| | {' | '.join((*protocol.measured, *means))} |",
        "|---" * (len(protocol.measured) + len(means) + 1) + "|",
        *(_line(way, rows, protocol, means) for way, rows in ways.items()),
        *(f"| {one.what} ({one.source}) {blank}| {one.value:g} |" for one in protocol.published),
        "", _target(protocol), "", _basis(protocol, ways["learned"], found), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _rows(way: str, pools: Iterable[Found]) -> pd.DataFrame:
    rows = pd.concat([read_results(pool.rows / f"{way}.csv") for pool in pools], ignore_index=True)
    return rows.assign(done=rows["steps_done"] / rows["steps_total"].clip(lower=1))


def _means(protocol: Protocol) -> dict[str, tuple[str, ...]]:
    """Columns of means and their tasks: tasks that data were collected for are no transfer, and averaged apart too."""
    asked = _asked_for(protocol)
    held_out = tuple(name for name in protocol.measured if name not in asked)
    apart = {"mean of source tasks": asked, "mean of held-out tasks": held_out} if asked and held_out else {}
    return apart | {"mean": protocol.measured}


def _line(way: str, rows: pd.DataFrame, protocol: Protocol, means: Mapping[str, Collection[str]]) -> str:
    column = MEASURES[protocol.measure]
    cells = [_cell(rows[rows["task"] == task], column) for task in protocol.measured]
    for tasks in means.values():
        whole = rows[rows["task"].isin(tasks)].groupby(["seed", "episode"], as_index=False)[column].mean()
        cells.append(_cell(whole, column, student=True))
    return f"| {way} | {' | '.join(cells)} |"


def _cell(rows: pd.DataFrame, column: str, *, student: bool = False) -> str:
    mean, (low, high) = mean_interval(rows, column)
    digits = 0 if column == "return_" else 2
    text = f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    if student and (interval := t_interval(rows, column)):
        text += f", t [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
    return text


def _target(protocol: Protocol) -> str:
    asked = {"at least": protocol.least, "aim": protocol.aim}
    told = ", ".join(f"{name} {value:g}" for name, value in asked.items() if value is not None)
    return f"Target for the mean: {told}." if told else ""


def _basis(protocol: Protocol, learned: pd.DataFrame, found: Sequence[Sequence[Found]]) -> str:
    """What the numbers rest on."""
    count, pools = len(found), [one for seed in found for one in seed]
    episodes = len(learned) // (len(protocol.measured) * count)
    over = "seeds" if count > 1 else "the episodes of the one seed"
    minutes = {kind: sum(one.seconds[kind] for one in pools) / count / 60 for kind in pools[0].seconds}
    steps, labels = sum(one.steps for one in pools) / len(pools), int(learned["labels"].max())
    student = ", t those of Student" if count > 1 else ""
    return (
        f"{count} seed{'s' if count > 1 else ''} of data, model and episodes, {episodes} episodes of each; "
        f"intervals are a bootstrap over {over}{student}. {steps:,.0f} control steps in "
        f"{'each' if protocol.folds else 'the'} pool, {labels:,} relabelled transitions behind each reward. "
        f"{_sources(protocol)} Minutes for each seed: "
        f"{', '.join(f'{kind} {time:.1f}' for kind, time in minutes.items())}. mbtransfer {__version__}."
    )


def _sources(protocol: Protocol) -> str:
    """Which of the measured tasks data were collected for: these are no transfer."""
    if protocol.folds:
        groups = "; ".join(", ".join(fold) for fold in protocol.folds)
        return (
            f"A pool for each of {len(protocol.folds)} groups of tasks, never collected for these: {groups}."
        )
    if not protocol.tasks:
        return "No recipe was asked for while data were collected; the tasks that they are made of were."
    if not any(plans(settings) for settings in protocol.rounds):
        return "Reward-free: no task's reward was used while data were collected."
    seen = _asked_for(protocol)
    if not seen:
        return "No data were collected for the reward of a measured task."
    if len(seen) == len(protocol.measured):
        return "Data were collected for the reward of every measured task."
    return f"Data were collected for the reward of {', '.join(seen)}; the others were never asked for before."


def _asked_for(protocol: Protocol) -> tuple[str, ...]:
    """The measured tasks whose reward was used while data were collected; none of what is held out in folds."""
    if protocol.folds:
        return ()
    sources = {name for name, task in make(protocol.env).tasks.items() if task.split == "source"}
    planned = [settings.get("tasks") or sources for settings in protocol.rounds if plans(settings)]
    return tuple(name for name in protocol.tasks if any(name in names for names in planned))
