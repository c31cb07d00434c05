"""Sight beyond the horizon: a policy and a value for a task, trained in imagination within seconds."""

from mbtransfer.prepare.imagined import prepare
from mbtransfer.prepare.mixed import Mixed
from mbtransfer.prepare.prepared import Prepared, load_prepared, prepared_digest, prepared_path
from mbtransfer.prepare.train import Course

__all__ = ["Course", "Mixed", "Prepared", "load_prepared", "prepare", "prepared_digest", "prepared_path"]
