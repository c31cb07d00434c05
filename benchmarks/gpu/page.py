"""The page: what was measured, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any


def page(found: Mapping[str, Any]) -> str:
    """All figures in Markdown."""
    lines = ["# mbtransfer on a GPU", "", *found["machine"], "", "## Correct", ""]
    lines += table(
        ["format", "difference to the CPU, in spreads of returns", "allowed", ""],
        [
            [row["format"], f"{row['difference']:.1e}", f"{row['tolerance']:.0e}", "good" if row["good"] else "WRONG"]
            for row in found["correctness"]
        ],
    )  # fmt: skip
    lines += ["", f"CEM {'finds' if found['search'] else 'DOES NOT FIND'} a known optimum on the device.", ""]
    lines += ["## One decision of the standard work", ""]
    lines += table(
        ["format", "p50 ms", "p95", "p99", "warm-up ms", "steps/s", "of the products' limit", "memory MiB"],
        [[row["format"], *_decision(row)] for row in found["decisions"]],
    )
    lines += ["", "## The kitchen, many episodes at once", ""]
    lines += table(
        ["episodes", "ms", "ms per episode"],
        [
            [f"{row['episodes']:,}", row["failed"], ""] if "failed" in row else
            [f"{row['episodes']:,}", f"{row['decision_ms']:.2f}", f"{row['decision_ms'] / row['episodes']:.4f}"]
            for row in found["batches"]
        ],
    )  # fmt: skip
    lines += ["", "## Training", ""]
    lines += table(
        ["network", "transitions/s", "of the products' limit"],
        [
            [name, row["failed"], ""] if "failed" in row else
            [name, f"{row['transitions_per_second']:,.0f}", f"{row['fraction_of_limit']:.2f}"]
            for name, row in found["training"].items()
        ],
    )  # fmt: skip
    two = found["streams"]["two"]
    lines += ["", f"Decisions per second: {found['streams']['one']:.0f} by one agent"]
    lines[-1] += f", {two:.0f} by two on streams of their own." if two else "."
    return "\n".join(lines) + "\n"


def _decision(row: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [row["failed"], *[""] * 6]
    times = row["decision_ms"]
    return [
        *(f"{times[name]:.2f}" for name in ("p50", "p95", "p99")), f"{row['warm_up_ms']:.0f}",
        f"{row['model_steps_per_second']:,.0f}", f"{row['fraction_of_limit']:.2f}", f"{row['peak_memory_mb']:.0f}",
    ]  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]
