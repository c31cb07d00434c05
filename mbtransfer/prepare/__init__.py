"""Sight beyond the horizon: a policy and a value for a task, trained within seconds without a step in it."""

from mbtransfer.prepare.mixed import Mixed
from mbtransfer.prepare.prepared import Prepared, load_prepared, prepared_digest, prepared_path
from mbtransfer.prepare.preparing import Method, Progress, prepare
from mbtransfer.prepare.train import Course

__all__ = [
    "Course",
    "Method",
    "Mixed",
    "Prepared",
    "Progress",
    "load_prepared",
    "prepare",
    "prepared_digest",
    "prepared_path",
]
