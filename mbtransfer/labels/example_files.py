"""CSV files of examples: states in which a task is done, and pairs of segments of which one is better."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mbtransfer.errors import UserError
from mbtransfer.labels.label_file import transition_columns, transitions_of
from mbtransfer.labels.table import numbers, read_table, truths
from tasks.spec import EnvSpec
from world_models.transitions import Transitions


def read_successes(path: Path, spec: EnvSpec) -> Float[Tensor, "E O"]:
    """Observations in which a task is done, one per row.

    Raises:
        UserError: as `read_table` and `numbers`.
    """
    columns = [variable.name for variable in spec.observation]
    return torch.from_numpy(numbers(read_table(path, columns, spec), columns, path))


def read_preferences(path: Path, spec: EnvSpec) -> tuple[list[Transitions], list[Transitions]]:
    """The better and the worse segment of each pair.

    A row is one control step: `pair` says of which pair, `better` (1 or 0) of which of its two segments, and the other
    columns are those of a label file but for reward and success. The steps of a segment are in their order.

    Raises:
        UserError: as `read_table`, `numbers` and `truths`, or a pair lacks one of its segments.
    """
    columns = transition_columns(spec)
    frame = read_table(path, [*columns, "pair", "better"], spec)
    steps = transitions_of(numbers(frame, columns, path), spec)
    pair = frame["pair"].str.strip()
    rows = frame.groupby([pair, truths(frame, "better", path)], sort=False).indices
    for name in pair.unique():
        for mark in (True, False):
            if (name, mark) not in rows:
                raise UserError(f"{path}: pair {name!r} has no segment with better = {mark:d}")
    better, worse = (
        [steps[torch.from_numpy(rows[name, mark])] for name in pair.unique()] for mark in (True, False)
    )
    return better, worse
