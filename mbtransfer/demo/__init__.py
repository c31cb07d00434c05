"""The demo: collect, fit, evaluate, adapt and report in one command."""

from mbtransfer.demo.pipeline import demo
from mbtransfer.demo.quick import quick_demo

__all__ = ["demo", "quick_demo"]
