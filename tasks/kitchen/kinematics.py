"""Where the handles are, straight from joint positions: what MuJoCo computes, for many states at once."""

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray


class Kinematics:
    """Hand-to-handle vectors as one product with constants read from the model.

    A handle's body has either slides or one hinge. By Rodrigues' formula a hinge with axis a takes the arm r
    to (a.r) a + cos(q) (r - (a.r) a) + sin(q) (a x r), so every handle is linear in (q, cos q, sin q).

    Args:
        model: the physics; a handle is a site named like its body.
        hand: the joints of the hand, slides along x, y and z from the origin.
        fixtures: the joints that can be moved.
    """

    def __init__(self, model: mujoco.MjModel, hand: tuple[str, ...], fixtures: tuple[str, ...]) -> None:
        names = hand + fixtures
        self.handles = [model.site(i).name for i in range(model.nsite)]
        self.qpos = np.array([1 + model.joint(name).qposadr[0] for name in names])
        qvel = [1 + model.nq + model.joint(name).dofadr[0] for name in names]
        self._columns = np.concatenate([self.qpos, qvel]).astype(int)
        self._n = len(names)
        self._base = np.zeros((model.nsite, 3))
        self._linear, self._cos, self._sin = np.zeros((3, self._n, model.nsite, 3))
        self._linear[: len(hand)] = -np.eye(3)[:, None, :]
        for k, handle in enumerate(self.handles):
            self._add(model, k, handle, names)
        shape = (self._n, 3 * model.nsite)
        self._mix = np.concatenate([m.reshape(shape) for m in (self._linear, self._cos, self._sin)])

    def _add(self, model: mujoco.MjModel, k: int, handle: str, names: tuple[str, ...]) -> None:
        body, arm = model.body(handle), model.site(handle).pos
        self._base[k] = body.pos + arm
        for j in range(body.jntadr[0], body.jntadr[0] + body.jntnum[0]):
            row, axis = names.index(model.joint(j).name), model.jnt_axis[j]
            if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_SLIDE:
                self._linear[row, k] = axis
            else:
                along = axis * (axis @ arm)
                self._base[k] = body.pos + along
                self._cos[row, k], self._sin[row, k] = arm - along, np.cross(axis, arm)

    def observe(self, states: Float[ndarray, "*b S"]) -> Float[ndarray, "*b O"]:
        """Positions, velocities, and the vector from the hand to each handle (m)."""
        q = states[..., self.qpos]
        vectors = np.concatenate([q, np.cos(q), np.sin(q)], axis=-1) @ self._mix + self._base.reshape(-1)
        return np.concatenate([states[..., self._columns], vectors], axis=-1)
