"""Benchmark protocols: data, training, evaluation and a table beside published figures."""

from mbtransfer.protocols.protocol import Protocol, read_protocol, shipped_protocols
from mbtransfer.protocols.runner import run_seed
from mbtransfer.protocols.table import as_markdown

__all__ = ["Protocol", "as_markdown", "read_protocol", "run_seed", "shipped_protocols"]
