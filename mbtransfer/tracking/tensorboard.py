"""TensorBoard backend."""

import json
from collections.abc import Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mbtransfer.tracking.tracker import figures


class TensorBoardSink:
    """One folder of events; see `mbtransfer.tracking.server.Sink`.

    Args:
        begin: `folder` and `config`.
    """

    def __init__(self, begin: Mapping[str, Any]) -> None:
        self._writer = SummaryWriter(begin["folder"])
        self._config = begin["config"]
        self._text("config", json.dumps(self._config, indent=2))

    def log(self, values: dict[str, float], axis: str, at: int) -> None:
        """Curves; the axis is the step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, at)
        self._writer.flush()

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """A table as text."""
        columns = list(rows[0]) if rows else []
        cells = [[str(row.get(column)) for column in columns] for row in rows]
        lines = [columns, ["---"] * len(columns), *cells]
        self._writer.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines))

    def summary(self, found: dict[str, Any]) -> None:
        """The settings and what came of them, for TensorBoard's page of hyperparameters."""
        plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in self._config.items()}
        self._writer.add_hparams(plain, figures(found), run_name=".")

    def artifact(self, kind: str, path: str, digest: str, made: bool) -> None:
        """TensorBoard keeps no files: a line says which they are."""
        self._text(f"{'made' if made else 'used'}/{kind}", f"{path}\ndigest {digest}")

    def film(self, name: str, path: str) -> None:
        """A line that says where it is."""
        self._text(name, path)

    def finish(self, exit_code: int) -> None:
        """Close the file."""
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        self._writer.add_text(name, "".join(f"    {line}\n" for line in text.splitlines()))
