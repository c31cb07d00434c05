"""Hyperparameter sweeps from W&B's sweep files, without an account; see docs/sweeps.md."""

from mbtransfer.sweep.sweep import sweep

__all__ = ["sweep"]
