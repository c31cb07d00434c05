"""Reader of OGBench's files of play."""

from pathlib import Path

import numpy as np

from mbtransfer.data.formats.arrays import flat_source, load_arrays
from mbtransfer.data.formats.convert import readable
from mbtransfer.data.formats.source import Source
from mbtransfer.errors import UserError
from tasks.registry import make

PARTS = ("qpos", "qvel", "button_states")
"""What a file holds beside observations: all that tells the state. The last is not in every workcell."""

NAMES = {part: (part,) for part in (*PARTS, "actions", "terminals")}


def read_ogbench(path: Path, env: str | None = None) -> Source:
    """A `.npz` file as OGBench publishes and makes them, such as `scene-play-v0.npz`.

    Its observations are worked out anew from positions, velocities and the buttons' states. As the last action of an
    episode leads nowhere in it, that step is left out.

    Args:
        path: the file.
        env: the workcell it is of; None for what the file's name says.

    Raises:
        UserError: no such file, a damaged one, or one without states.
        TaskError: no such workcell.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    known = make(env or f"ogbench:{path.stem}")
    with readable(str(path)):
        arrays = load_arrays(path, NAMES)
    lacking = [part for part in ("qpos", "qvel", "actions", "terminals") if part not in arrays]
    if lacking:
        raise UserError(f"{path.name} has no {lacking[0]}; OGBench's files of workcells have")
    rows = {len(arrays[part]) for part in arrays}
    if len(rows) > 1 or any(arrays[part].ndim != 2 for part in PARTS if part in arrays):
        shapes = ", ".join(f"{part} {array.shape}" for part, array in arrays.items())
        raise UserError(f"{path.name}: arrays do not fit each other: {shapes}")
    states = np.concatenate([arrays[part] for part in PARTS if part in arrays], axis=1)
    needed = known.recorded.size if known.recorded else 0
    if states.shape[1] != needed:
        raise UserError(
            f"{path.name} has {states.shape[1]} numbers in a state, {known.spec.name} {needed}; give --env"
        )
    found = {"obs": states, "actions": arrays["actions"], "timeouts": arrays["terminals"]}
    return flat_source(path.name, known.spec.name, found, ())
