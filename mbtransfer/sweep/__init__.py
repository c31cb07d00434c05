"""W&B's sweep files without an account: the same file, the same command line, the same search; see docs/sweeps.md."""

from mbtransfer.sweep.run import run_sweep

__all__ = ["run_sweep"]
