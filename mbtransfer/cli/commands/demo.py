"""`mbtransfer demo`: from an empty folder to a report."""

from typing import Any

from mbtransfer.config import DemoConfig
from mbtransfer.demo import demo, quick_demo
from mbtransfer.runtime.terminal import Terminal


def run_demo(config: DemoConfig, console: Terminal | None = None) -> dict[str, Any]:
    """Run all stages; see `mbtransfer.demo`."""
    return (quick_demo if config.quick else demo)(config, console or Terminal())
