"""Published protocols: pool, fit, prepare, evaluate, and a table beside the figures of others."""

from mbtransfer.benchmark.protocol import Protocol, read_protocol, shipped_protocols
from mbtransfer.benchmark.run import run_seed
from mbtransfer.benchmark.table import as_markdown

__all__ = ["Protocol", "as_markdown", "read_protocol", "run_seed", "shipped_protocols"]
