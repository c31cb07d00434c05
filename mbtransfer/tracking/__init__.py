"""Curves, tables, results and lineage for W&B or TensorBoard; see docs/tracking.md."""

from mbtransfer.tracking.figures import figures
from mbtransfer.tracking.opening import track
from mbtransfer.tracking.tracker import SILENT, Artifact, Part, Tracker

__all__ = ["SILENT", "Artifact", "Part", "Tracker", "figures", "track"]
