"""Picture of the kitchen: `python -m tasks.kitchen.picture OUT.png`."""

import os
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.errors import TaskError
from tasks.kitchen.scene import make_scene
from tasks.render import Renderer
from tasks.simulator import Simulator

TEA_TIME = {
    "hand_x": 0.72, "hand_y": 0.048, "hand_z": 0.20, "drawer": 0.22,
    "microwave": 0.0, "hinge_cabinet": 1.1, "slide_cabinet": 0.31, "light_switch": 0.6, "tap": 0.6,
    "left_knob": 0.0, "right_knob": 1.4, "kettle_x": 0.12, "kettle_y": -0.12,
}  # fmt: skip
"""Joint positions (m or rad): the finger pulls the drawer, light and tap are on, the kettle heats up."""


def posed(scene: Simulator, joints: dict[str, float]) -> Float[ndarray, " S"]:
    """The state at rest with the joints put where `joints` says."""
    state = np.zeros(scene.state_size)
    for name, value in joints.items():
        state[1 + scene.model.joint(name).qposadr[0]] = value
    return state


def main(arguments: list[str]) -> int:
    """Write the picture; 0 if done, 2 with one line if the input is wrong or there is no renderer."""
    if len(arguments) != 1 or not arguments[0].endswith(".png"):
        print("usage: python -m tasks.kitchen.picture OUT.png", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    partial = path.with_name(f".{path.name}.{os.getpid()}.png")
    try:
        scene = make_scene()
        with Renderer(scene, 1280, 800, "cook", fine=True) as renderer:
            iio.imwrite(partial, renderer.frame(posed(scene, TEA_TIME)), optimize=True)
        os.replace(partial, path)
    except (TaskError, OSError) as error:
        partial.unlink(missing_ok=True)
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
