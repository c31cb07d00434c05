"""Choice of the reader that fits a source."""

from collections.abc import Sequence
from pathlib import Path

from mbtransfer.data.formats.arrays import read_arrays
from mbtransfer.data.formats.minari import read_minari
from mbtransfer.data.formats.robomimic import read_robomimic
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError

MINARI = "minari:"
FORMS = "minari:NAME, a robomimic file (.hdf5) or an archive of arrays (.npz)"


def find_source(text: str, keys: Sequence[str] = ()) -> Source:
    """Open what the user names; `keys` are the parts of dict observations to keep, all of them where empty.

    Raises:
        UserError: no such form, no such file, or content that cannot be used.
    """
    if text.startswith(MINARI):
        return read_minari(text.removeprefix(MINARI), keys)
    path = Path(text)
    readers = {".hdf5": read_robomimic, ".h5": read_robomimic, ".npz": read_arrays}
    if path.suffix not in readers:
        raise UserError(f"cannot import {text!r}; give {FORMS}")
    if not path.is_file():
        raise UserError(f"there is no file {text}")
    return readers[path.suffix](path, keys)
