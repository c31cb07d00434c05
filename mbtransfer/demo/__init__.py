"""The demo: from an empty folder to a robot that solves what nobody trained it for, and a report."""

from mbtransfer.demo.pipeline import run_demo

__all__ = ["run_demo"]
