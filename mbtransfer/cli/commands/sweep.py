"""`mbtransfer sweep`: run a sweep file's trials and show which setting mattered."""

from mbtransfer.config import SweepConfig
from mbtransfer.runtime.terminal import Terminal
from mbtransfer.sweep.sweep import sweep
from mbtransfer.sweep.trial import Trial


def run_sweep(config: SweepConfig, console: Terminal | None = None) -> list[Trial]:
    """Run the trials; see `mbtransfer.sweep.sweep.sweep`."""
    return sweep(config, console or Terminal())
