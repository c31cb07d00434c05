"""Import and export of other data formats (Minari, robomimic, D4RL arrays).

A reader (`from_minari`, `from_robomimic`, `from_arrays`) gives a `Source`; `take_in` checks all of it, and only then
appends it to a dataset, unit by unit. `to_minari` is the way out.
"""

from mbtransfer.data.formats.find import find_source
from mbtransfer.data.formats.importer import Taken, take_in
from mbtransfer.data.formats.minari import export_minari
from mbtransfer.data.formats.source import Source

__all__ = ["Source", "Taken", "export_minari", "find_source", "take_in"]
