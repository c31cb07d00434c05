"""The card for people: `README.md`, with the front matter that the Hugging Face Hub reads."""

from collections.abc import Iterator
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from mbtransfer.diagnostics.check import RISKY
from mbtransfer.report.terminal import SPLITS
from mbtransfer.runtime.streams import single_line
from mbtransfer.sharing.card import Card, Measurement

TEMPLATE = "card.md.j2"


def page(card: Card) -> str:
    """The text of `README.md`: front matter, then everything that the card says."""
    environment = Environment(
        loader=PackageLoader("mbtransfer.sharing", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "share": share, "interval": interval}
    front = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True, width=110)
    return environment.get_template(TEMPLATE).render(
        card=card, front_matter=front, splits=SPLITS, warned=list(_warned(card)), risky=RISKY
    )


def front_matter(card: Card) -> dict[str, Any]:
    """The metadata that the Hub reads; see https://huggingface.co/docs/hub/model-cards and datasets-cards."""
    robotics = {"pipeline_tag": "robotics"} if card.kind == "model" else {"task_categories": ["robotics"]}
    common = {
        "license": card.licence or "unknown",
        "tags": ["mbtransfer", "model-based-reinforcement-learning", "world-model", "planning", "robotics"],
        **robotics,
    }
    if card.kind == "dataset":
        return common | {"viewer": False}  # it shows tables, and these are tensors
    results = [_result(card, measured) for measured in card.measurements if measured.splits]
    index = {"model-index": [{"name": single_line(card.name), "results": results}]} if results else {}
    return common | {"library_name": "mbtransfer"} | index


def _result(card: Card, measured: Measurement) -> dict[str, Any]:
    return {
        "task": {"type": "robotics", "name": f"{card.environment}, {measured.source}"},
        "dataset": {"type": card.environment, "name": card.environment},
        "metrics": [
            {
                "type": "success_rate",
                "value": round(split.success, 4),
                "name": f"success, {SPLITS.get(split.split, split.split)}, {split.episodes} episodes",
            }
            for split in measured.splits
        ],
    }


def _warned(card: Card) -> Iterator[dict[str, Any]]:
    return (one for one in card.limits.get("check") or () if one["warning"])


def cell(text: object) -> str:
    """A text as a cell of a Markdown table, or within a line: no line break, no markup of its own."""
    plain = single_line(str(text)).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "\\|>[]`*_#" else sign for sign in plain)


def share(value: float) -> str:
    """A share with three digits."""
    return f"{value:.3f}"


def interval(bounds: tuple[float, float], digits: int = 3) -> str:
    """Such as `[0.982, 1.000]`."""
    return f"[{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"
