"""Several finished demos as one set of numbers, and those as a table in Markdown."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from mbtransfer import __version__
from mbtransfer.errors import UserError
from mbtransfer.evaluation.results import read_rows
from mbtransfer.evaluation.statistics import summarise, summarise_splits

SPLITS = {
    "source": "source tasks",
    "held_out": "held-out targets and fixtures",
    "recipes": "recipes, all steps",
}
PACKAGES = ("torch", "mujoco", "dm-control")


def aggregate(folders: Sequence[Path]) -> dict[str, Any]:
    """One set of numbers from the `rows.csv` and `summary.json` of several demos, one per seed.

    Raises:
        UserError: a file is missing or damaged.
    """
    rows = pd.concat([read_rows(folder / "rows.csv") for folder in folders], ignore_index=True)
    summaries = [_read(folder / "summary.json") for folder in folders]
    return summarise(rows) | {
        "seeds": len(folders),
        "labels": _by_labels(rows),
        "adapt": _adapt(summaries),
        "check": {"auroc": [summary["check"]["auroc"] for summary in summaries]},
        "plan_ms": {name: _mean([s["plan_ms"][name] for s in summaries]) for name in ("p50", "p95", "p99")},
        "transitions": _mean([summary["transitions"] for summary in summaries]),
        "wall_seconds": {
            name: _mean([summary["wall_seconds"].get(name, 0.0) for summary in summaries])
            for name in summaries[0]["wall_seconds"]
        },
        "versions": {"mbtransfer": __version__, **{name: version(name) for name in PACKAGES}},
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _by_labels(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Success on held-out tasks with heads from fewer and more labels."""
    learned = rows[
        (rows["dynamics"] == "learned") & (rows["reward"] == "learned") & (rows["split"] == "held_out")
    ]
    return [
        {"labels": int(n), **summarise_splits(some)["held_out"]}
        for n, some in learned.groupby("labels", sort=True)
    ]


def _adapt(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Success by episodes of the new task, and what each seed's old tasks lost at the most."""
    curves = [summary["adapt"] for summary in summaries]
    lost = [max(curve["old"][0] - later for later in curve["old"]) for curve in curves]
    return {
        "task": curves[0].get("task", "the new task"),
        "episodes": curves[0]["episodes"],
        "new": [_mean(values) for values in zip(*(curve["new"] for curve in curves), strict=True)],
        "new_worst": [min(values) for values in zip(*(curve["new"] for curve in curves), strict=True)],
        "old": [_mean(values) for values in zip(*(curve["old"] for curve in curves), strict=True)],
        "lost_at_most": max(lost),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def as_markdown(results: dict[str, Any]) -> str:
    """The tables of the README: success by split, then everything else."""
    lines = ["| | success [95% interval] | worst task | oracle |", "|---|---|---|---|"]
    for split, title in SPLITS.items():
        if split in results["splits"]:
            lines.append(_split(title, results["splits"][split], results.get("oracle", {}).get(split)))
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _facts(results)]
    return "\n".join([*lines, "", _protocol(results), ""])


def _split(title: str, entry: dict[str, Any], oracle: dict[str, Any] | None) -> str:
    bound = f"{oracle['success_mean']:.3f}" if oracle else "–"
    cells = (f"{title} ({entry['tasks']})", _interval(entry), f"{entry['success_min']:.2f}", bound)
    return f"| {' | '.join(cells)} |"


def _facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each line of the second table."""
    adapt, seconds, plan = results["adapt"], results["wall_seconds"], results["plan_ms"]
    worst = ", ".join(f"{value:.2f}" for value in adapt["new_worst"])
    counts = ", ".join(str(count) for count in adapt["episodes"])
    auroc = results["check"]["auroc"]
    few = [
        (f"held-out tasks, heads from {entry['labels']:,} labels", _interval(entry))
        for entry in results["labels"]
    ]
    return [
        *few,
        (f"`{adapt['task']}`, locked in the pool, after {counts} episodes", _numbers(adapt["new"])),
        ("the same, worst seed", worst),
        ("old tasks after as many episodes", _numbers(adapt["old"])),
        ("`check` finds fixtures that never moved, AUROC", f"{_mean(auroc):.3f}, worst {min(auroc):.3f}"),
        ("one decision, one thread: p50 / p95 / p99", " / ".join(f"{plan[p]:.1f}" for p in plan) + " ms"),
        ("collect + fit", f"{seconds.get('collect', 0) + seconds.get('fit', 0):.0f} s"),
        ("the whole demo", f"{seconds.get('total', sum(seconds.values())) / 60:.1f} min"),
    ]


def _interval(entry: dict[str, Any]) -> str:
    low, high = entry["success_ci95"]
    return f"{entry['success_mean']:.3f} [{low:.3f}, {high:.3f}]"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _protocol(results: dict[str, Any]) -> str:
    episodes = {name: entry["episodes"] for name, entry in results["splits"].items()}
    used = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    machine = f"{results.get('cores', '?')} CPU cores, {'a' if results.get('gpu') else 'no'} GPU"
    return (
        f"{results['seeds']} seeds (of data, model and episodes), {results['transitions']:,.0f} control "
        f"steps each, and {sum(episodes.values()):,} episodes in all with learned dynamics and learned "
        "reward heads. The intervals are a stratified bootstrap over seeds (with one seed, over its "
        "episodes). The oracle is the same planner in the true simulator with the true reward, one episode "
        f"per task and seed. {machine}; {used}."
    )
