"""Data in and out: episodes of other formats become datasets, and datasets become Minari's.

A reader (`from_minari`, `from_robomimic`, `from_arrays`) gives a `Source`; `take_in` checks all of it, and only then
appends it to a dataset, unit by unit. `to_minari` is the way out.
"""

from mbtransfer.exchange.find import find_source
from mbtransfer.exchange.source import Source
from mbtransfer.exchange.take_in import Taken, take_in
from mbtransfer.exchange.to_minari import export_minari

__all__ = ["Source", "Taken", "export_minari", "find_source", "take_in"]
