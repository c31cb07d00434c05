"""Curves, tables, results and lineage for W&B or TensorBoard; see docs/tracking.md."""

from mbtransfer.tracking.factory import track
from mbtransfer.tracking.tracker import NULL_TRACKER, Artifact, PrefixedTracker, Tracker, figures

__all__ = ["NULL_TRACKER", "Artifact", "PrefixedTracker", "Tracker", "figures", "track"]
