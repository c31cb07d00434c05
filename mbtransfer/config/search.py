"""The command that searches for settings: sweep."""

from pathlib import Path

from tyro.conf import Positional

from mbtransfer.config.flags import Count, EngineFlags, Seed, command


@command
class SweepConfig(EngineFlags):
    """Run a W&B sweep file here or on a Ray cluster, without an account. Run again to continue."""

    file: Positional[Path]
    """Sweep file, in W&B's format; see examples/sweeps."""
    count: Count | None = None
    """Trials in all. None: run_cap in the file, else the whole grid."""
    out: Path | None = None
    """Folder for trials, results.csv and sweep.png. None: runs/sweeps/ and the file's name."""
    seed: Seed = 0
    """Of the search: random and bayes draw from it."""
    workers: Count = 1
    """Trials at a time; they share the cores. grid and random try the same for any number."""
