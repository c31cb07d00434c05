"""`mbtransfer speed`: speed of planning and fitting on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from mbtransfer.config import SpeedConfig
from mbtransfer.errors import UserError
from mbtransfer.model import pick_device
from mbtransfer.runtime.environment import threads
from mbtransfer.runtime.files import check_writable, replacing, write_json
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.speed.fit import measure_fit
from mbtransfer.speed.planner import BASE, measure_planner, measure_scaling
from mbtransfer.speed.workload import Work

PICTURES = (".png", ".svg")


def run_speed(config: SpeedConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Measure, print the results, and write them to a file if requested.

    Raises:
        UserError, ModelError, PlannerError: the input is wrong.
    """
    console = console or Terminal()
    check_writable(config.json, config.plot)
    if config.plot is not None and (config.what != "scaling" or config.plot.suffix not in PICTURES):
        raise UserError("--plot is for `speed scaling`, and a file that ends with .png or .svg")
    device = str(pick_device(config.device))
    measure = {"planner": _planner, "fit": _fit, "scaling": _scaling}[config.what]
    with threads(config.threads):
        found = measure(config, device, console)
    if config.json is not None:
        write_json(config.json, found)
    return found


def _planner(config: SpeedConfig, device: str, console: Terminal) -> dict[str, Any]:
    names = ("planner", "members", "hidden", "layers", "obs", "act", "candidates", "horizon", "iterations")
    sizes = {name: getattr(config, name) for name in (*names, "particles", "compile")}
    found = measure_planner(Work(**sizes, precision=config.dtype, device=device), config.seconds)
    times, usual = found["decision_ms"], found["usual_limit_model_steps_per_second"]
    _say(
        console, f"{found['model_steps_per_second']:,.0f} model steps per second in {found['kernel']}", found
    )
    console.say(
        f"products alone: {found['limit_model_steps_per_second']:,.0f}; "
        f"in torch, weights times columns: {usual:,.0f}",
    )  # fmt: skip
    console.say(
        f"one decision: p50 {times['p50']:.1f} ms, p95 {times['p95']:.1f} ms, p99 {times['p99']:.1f} ms "
        f"({found['decisions']} decisions; {found['warm_up_ms']:.0f} ms of warm-up), "
        f"at most {found['peak_memory_mb']:,.0f} MB",
    )  # fmt: skip
    return found


def _fit(config: SpeedConfig, device: str, console: Terminal) -> dict[str, Any]:
    names = ("members", "hidden", "layers", "obs", "act", "batch", "threads", "seconds")
    found = measure_fit(**{name: getattr(config, name) for name in names}, device=device)
    _say(console, f"{found['transitions_per_second']:,.0f} transitions per second and member", found)
    return found


def _say(console: Terminal, rate: str, found: dict[str, Any]) -> None:
    share = f"{found['fraction_of_limit']:.0%} of what the products alone would allow"
    console.say(f"{rate}, {share}")


def _scaling(config: SpeedConfig, device: str, console: Terminal) -> dict[str, Any]:
    base = replace(BASE, precision=config.dtype, device=device)
    rows = measure_scaling(base, config.seconds / 5)
    table = Table(title="One decision of one episode", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "", "ms", "MB more"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    shown = ""
    for row in rows:
        axis = "" if row["axis"] == shown else row["axis"]
        table.add_row(axis, row["value"], f"{row['decision_ms']:.2f}", f"{row['memory_mb']:.0f}")
        shown = row["axis"]
    console.print(table)
    if config.plot is not None:
        _draw(rows, config.plot)
    return {"rows": rows, "settings": base.described() | {"threads": config.threads}}


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw one panel per axis: milliseconds per episode against the size that varies."""
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    for axis, on in zip(axes, figure.subplots(2, 3).flat, strict=False):
        points = [row for row in rows if row["axis"] == axis]
        times = [row["decision_ms"] for row in points]
        on.plot([row["value"] for row in points], times, marker="o")
        on.set(xlabel=axis, ylabel="ms per episode", ylim=(0, 1.15 * max(times)))
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150)
