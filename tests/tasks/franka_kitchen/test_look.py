"""Pictures show what the robot works at, and the physics is as it was."""

from __future__ import annotations

import mujoco
import numpy as np

from tasks.simulator import Simulator


def test_the_camera_sees_the_hand_and_every_handle(franka_scene: Simulator) -> None:
    scene, spec = franka_scene, franka_scene.spec
    assert scene.look is not None
    drawn, state = scene.look.model(), scene.sample_states(np.random.default_rng(0), 1)[0]
    obs = scene.observe(state)
    hand = obs[list(spec.hand)]
    points = [hand] + [hand + obs[list(fixture.handle)] for fixture in spec.fixtures]
    data = mujoco.MjData(drawn)
    mujoco.mj_setState(drawn, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    mujoco.mj_forward(drawn, data)
    seen = (np.array(points) - data.cam_xpos[0]) @ data.cam_xmat[0].reshape(3, 3)
    half = np.tan(np.radians(drawn.cam_fovy[0]) / 2)
    ahead = -seen[:, 2]
    assert (ahead > 0).all()
    assert (np.abs(seen[:, 1]) < half * ahead).all() and (np.abs(seen[:, 0]) < 1.5 * half * ahead).all()
    assert not np.array_equal(drawn.cam_pos, scene.model.cam_pos)  # the physics keeps its own
