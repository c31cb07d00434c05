"""Choice of the reader that fits a source."""

from collections.abc import Sequence
from pathlib import Path

from mbtransfer.data.formats.arrays import read_arrays
from mbtransfer.data.formats.bags import read_bags
from mbtransfer.data.formats.lerobot import read_lerobot
from mbtransfer.data.formats.mapping import ColumnMapping, by_names, read_mapping
from mbtransfer.data.formats.minari import read_minari
from mbtransfer.data.formats.ogbench import read_ogbench
from mbtransfer.data.formats.robomimic import read_robomimic
from mbtransfer.data.formats.source import Source
from mbtransfer.data.formats.tables import read_tables
from mbtransfer.errors import UserError
from tasks.registry import make

MINARI = "minari:"
LEROBOT = "lerobot:"
OGBENCH = "ogbench:"
TABLES = ("csv", "parquet")
BAGS = "mcap"
FORMS = (
    "minari:NAME, ogbench:FILE.npz, lerobot:FOLDER, csv:FILE, parquet:FILE or mcap:FILE (or a folder of them), "
    "a robomimic file (.hdf5) or an archive of arrays (.npz)"
)


def find_source(
    text: str, keys: Sequence[str] = (), *, mapping: Path | None = None, env: str | None = None
) -> Source:
    """Open what the user names.

    Args:
        text: the source.
        keys: the parts of dict observations to keep, all of them where empty.
        mapping: of a log of a robot: the file that says which column is which.
        env: the environment that a log is of.

    Raises:
        UserError: no such form, no such file, or content that cannot be used.
        TaskError: no such environment, or a mapping that is wrong.
    """
    family, _, rest = text.partition(":")
    if family in TABLES and rest:
        return read_tables(Path(rest), family, _mapping(f"{family}:", mapping, env), make(env or "").spec)
    if family == BAGS and rest:
        if mapping is None:
            raise UserError(
                f"{BAGS}: needs --mapping FILE.yaml, which says which fields of topics are columns"
            )
        return read_bags(Path(rest), _mapping(f"{BAGS}:", mapping, env), make(env or "").spec)
    if text.startswith(LEROBOT):
        spec = make(env).spec if env else None
        asked = _mapping(LEROBOT, mapping, env) if mapping else None
        return read_lerobot(Path(text.removeprefix(LEROBOT)), keys, asked, spec)
    if mapping is not None:
        raise UserError(
            f"--mapping is for logs ({', '.join(f'{one}:' for one in (*TABLES, BAGS))}, {LEROBOT}), not {text}"
        )
    if text.startswith(MINARI):
        return read_minari(text.removeprefix(MINARI), keys)
    if text.startswith(OGBENCH):
        return read_ogbench(Path(text.removeprefix(OGBENCH)), env)
    path = Path(text)
    readers = {".hdf5": read_robomimic, ".h5": read_robomimic, ".npz": read_arrays}
    if path.suffix not in readers:
        raise UserError(f"cannot import {text!r}; give {FORMS}")
    if not path.is_file():
        raise UserError(f"there is no file {text}")
    return readers[path.suffix](path, keys)


def _mapping(family: str, path: Path | None, env: str | None) -> ColumnMapping:
    if env is None:
        raise UserError(
            f"{family} does not say what it is a log of; give --env, such as --env file:my_arm.yaml"
        )
    spec = make(env).spec
    return by_names(spec) if path is None else read_mapping(path, spec)
