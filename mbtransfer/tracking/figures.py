"""The numbers in what a command found, each under its path: `splits/held_out/success_mean`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def figures(found: Any, prefix: str = "") -> dict[str, float]:
    """Every finite number in nested mappings; members of a list by their `name`, if they have one.

    True and False count as 1 and 0.
    """
    return dict(_walk(found, prefix))


def _walk(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if hasattr(value, "item") and not getattr(value, "ndim", 0):  # a NumPy scalar is a plain number
        value = value.item()
    if isinstance(value, bool | int | float):
        if math.isfinite(value):
            yield path, float(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}/{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            if isinstance(item, Mapping) and "name" in item:
                yield from _walk(item, f"{path}/{item['name']}")
