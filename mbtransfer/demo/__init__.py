"""The demo: collect, fit, evaluate, adapt and report in one command."""

from mbtransfer.demo.pipeline import demo

__all__ = ["demo"]
