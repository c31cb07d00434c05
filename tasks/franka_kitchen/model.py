"""The physics of FrankaKitchen-v1, read from the files that gymnasium-robotics brings; nothing of it is run."""

from importlib.util import find_spec
from pathlib import Path

import mujoco

from tasks.errors import TaskError

_FILE = "envs/assets/kitchen_franka/kitchen_assets/kitchen_env_model.xml"


def load_model() -> mujoco.MjModel:
    """The environment's MuJoCo model.

    Raises:
        TaskError: gymnasium-robotics is not installed, or brings no such model.
    """
    found = find_spec("gymnasium_robotics")
    if found is None or not found.submodule_search_locations:
        raise TaskError("franka_kitchen needs gymnasium-robotics: pip install 'mbtransfer[robotics]'")
    path = Path(next(iter(found.submodule_search_locations))) / _FILE
    if not path.is_file():
        raise TaskError(f"franka_kitchen: {path} is missing; pip install 'mbtransfer[robotics]' again")
    return mujoco.MjModel.from_xml_path(str(path))
