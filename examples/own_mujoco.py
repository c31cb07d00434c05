"""A crane of your own in MuJoCo: `mbtransfer collect --env gym:examples/own_mujoco.py:Crane --out DATA`."""

import gymnasium
import mujoco
import numpy as np

CRANE = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body pos="0 0 2">
      <joint name="cart" type="slide" axis="1 0 0" range="-1 1" damping="5"/>
      <geom size="0.1" mass="1"/>
      <body>
        <joint name="rope" type="hinge" axis="0 1 0" damping="0.02"/>
        <geom type="capsule" fromto="0 0 0 0 0 -1" size="0.02" mass="0.1"/>
        <geom pos="0 0 -1" size="0.08" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator> <motor joint="cart" gear="10" ctrlrange="-1 1"/> </actuator>
</mujoco>
"""


class Crane(gymnasium.Env):
    """A cart on a rail and a load that swings below it; its reward is to hang still in the middle."""

    columns = ("cart", "rope", "cart_velocity", "rope_velocity")
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    frame_skip, dt, max_episode_steps = 5, 0.05, 100  # physics steps and seconds of a control step

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(CRANE)
        self.data = mujoco.MjData(self.model)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.np_random.uniform(-0.8, 0.8, 2)
        mujoco.mj_forward(self.model, self.data)
        return self._get_obs(), {}

    def step(self, action):
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, self.frame_skip)
        obs = self._get_obs()
        return obs, -float(np.abs(obs).sum()), False, False, {}

    def _get_obs(self):
        return np.concatenate([self.data.qpos, self.data.qvel]).astype(np.float32)
