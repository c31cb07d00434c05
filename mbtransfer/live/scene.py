"""The scene in 3D: a simulator's MuJoCo model drawn by viser, and ghosts of where things will be."""

import mujoco
import numpy as np
import viser
from jaxtyping import Float
from numpy import ndarray

from mbtransfer.live.shapes import colour, merged, shape, shown_geoms
from tasks.simulator import Simulator

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_GHOST = (90, 160, 255)
_GHOST_OPACITY = 0.35
_MOVED = 0.005
"""A body is drawn as a ghost where it will be farther from its place than this, metres, or turned by as many rad."""

_AWAY = (0.6, -1.2, 0.6)
"""Where the first view is taken from, in extents of the model from its centre."""

_FARTHEST, _LOWER = 1.9, 0.45
"""On an upright screen: how many times farther away the view is at most, and how much lower, in half pictures."""

_LOOKED_AT = 64
"""States by which the materials are found that change their colour with the state."""


class SceneDrawing:
    """The bodies of a scene; every one that moves is a node, all that stand still are one.

    viser's own MuJoCo viewer, mjviser, has neither ghosts nor materials that change (a burner that glows).

    Args:
        server: draws.
        scene: what is drawn; its `look`, where it has one.
    """

    def __init__(self, server: viser.ViserServer, scene: Simulator) -> None:
        self._look = scene.look
        self._model = scene.model if self._look is None else self._look.model()
        self._data = mujoco.MjData(self._model)
        self._size = mujoco.mj_stateSize(self._model, _STATE)
        self._server = server
        self._changing = self._changing_materials(scene)
        self._bodies: dict[int, viser.GlbHandle] = {}
        self._ghosts: dict[int, viser.MeshHandle] = {}
        self._glowing: list[tuple[int, int, viser.MeshHandle]] = []
        self._poses: dict[int, tuple[ndarray, ndarray]] = {}
        with server.atomic():
            self._build()

    def _changing_materials(self, scene: Simulator) -> set[int]:
        """Materials whose colour follows the state."""
        if self._look is None:
            return set()
        seen = []
        for state in scene.sample_states(np.random.default_rng(0), _LOOKED_AT):
            self._look.dress(self._model, state)
            seen.append(self._model.mat_rgba.copy())
        return set(np.flatnonzero((np.ptp(np.stack(seen), axis=0) > 0).any(axis=1)).tolist())

    def _build(self) -> None:
        model = self._model
        mujoco.mj_kinematics(model, self._data)
        still = []
        for body in range(model.nbody):
            geoms = shown_geoms(model, body)
            plain = [geom for geom in geoms if int(model.geom_matid[geom]) not in self._changing]
            glowing = [
                geom
                for geom in range(
                    model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]
                )
                if int(model.geom_matid[geom]) in self._changing
            ]
            for geom in glowing:
                mesh = shape(model, geom)
                handle = self._server.scene.add_mesh_simple(
                    f"/glow/{geom}", mesh.vertices, mesh.faces, opacity=1.0, cast_shadow=False
                )
                self._glowing.append((body, geom, handle))
            if not plain:
                continue
            mesh = merged(model, plain)
            if model.body_weldid[body] == 0:
                pose = np.eye(4)
                pose[:3, :3], pose[:3, 3] = self._data.xmat[body].reshape(3, 3), self._data.xpos[body]
                mesh.apply_transform(pose)
                still.append(mesh)
                continue
            self._bodies[body] = self._server.scene.add_mesh_trimesh(f"/bodies/{body}", mesh)
            self._ghosts[body] = self._server.scene.add_mesh_simple(
                f"/ghosts/{body}", mesh.vertices, mesh.faces, color=_GHOST, opacity=_GHOST_OPACITY,
                cast_shadow=False, receive_shadow=False, visible=False,
            )  # fmt: skip
        for number, mesh in enumerate(still):
            self._server.scene.add_mesh_trimesh(f"/room/{number}", mesh)

    def draw(self, state: Float[ndarray, " S"]) -> None:
        """Show a state; what has not moved is not sent again."""
        self._pose(state)
        if self._look is not None:
            self._look.dress(self._model, state)
        with self._server.atomic():
            for body, handle in self._bodies.items():
                self._move(body, handle)
            for body, geom, mesh in self._glowing:
                red, green, blue, opacity = (int(part) for part in colour(self._model, geom))
                if tuple(mesh.color) != (red, green, blue):
                    mesh.color = (red, green, blue)
                if mesh.opacity != opacity / 255:
                    mesh.opacity = opacity / 255
                position, wxyz = self._data.xpos[body], self._data.xquat[body]
                if not np.allclose(mesh.position, position, atol=1e-5):
                    mesh.position, mesh.wxyz = position.copy(), wxyz.copy()

    def draw_ghosts(self, now: Float[ndarray, " S"], later: Float[ndarray, " S"] | None) -> None:
        """Show each body where it will be, where that differs from where it is now; None hides all."""
        poses = None
        if later is not None:
            self._pose(now)
            here = self._data.xpos.copy(), self._data.xquat.copy()
            self._pose(later)
            poses = here, (self._data.xpos, self._data.xquat)
        with self._server.atomic():
            for body, handle in self._ghosts.items():
                shown = False
                if poses is not None:
                    (at, turned), (to, turning) = poses
                    way = np.abs(to[body] - at[body]).max()
                    turn = 2 * np.arccos(min(1.0, abs(float(turning[body] @ turned[body]))))
                    shown = bool(max(way, turn) > _MOVED)
                    if shown:
                        handle.position, handle.wxyz = to[body].copy(), turning[body].copy()
                if handle.visible != shown:
                    handle.visible = shown

    def between(
        self, before: Float[ndarray, " S"], after: Float[ndarray, " S"], share: float
    ) -> Float[ndarray, " S"]:
        """The state on the way from one to another; quaternions turn as they should."""
        model, n = self._model, self._model.nq
        step, place = np.zeros(model.nv), before[1 : 1 + n].copy()
        mujoco.mj_differentiatePos(model, step, 1.0, place, after[1 : 1 + n])
        mujoco.mj_integratePos(model, place, step, share)
        state = after.copy()
        state[1 : 1 + n] = place
        return state

    def _pose(self, state: Float[ndarray, " S"]) -> None:
        mujoco.mj_setState(self._model, self._data, state[: self._size], _STATE)
        mujoco.mj_kinematics(self._model, self._data)

    def _move(self, body: int, handle: viser.GlbHandle) -> None:
        position, wxyz = self._data.xpos[body], self._data.xquat[body]
        old = self._poses.get(body)
        if (
            old is not None
            and np.allclose(old[0], position, atol=1e-5)
            and np.allclose(old[1], wxyz, atol=1e-5)
        ):
            return
        self._poses[body] = position.copy(), wxyz.copy()
        handle.position, handle.wxyz = position.copy(), wxyz.copy()

    def look_from(self, name: str) -> None:
        """Let pages begin with the view of a camera of the model; without such a one, with a view of everything.

        On a telephone, held upright, the view is from farther away, and the controls do not hide its middle.
        """
        self._look_from(name)
        self._server.on_client_connect(self._step_back)

    def _look_from(self, name: str) -> None:
        first, stat = self._server.initial_camera, self._model.stat
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        first.up = (0.0, 0.0, 1.0)
        if name not in names:
            first.look_at = tuple(stat.center)
            first.position = tuple(stat.center + stat.extent * np.array(_AWAY))
            return
        number = names.index(name)
        mujoco.mj_camlight(self._model, self._data)
        at, axes = self._data.cam_xpos[number], self._data.cam_xmat[number].reshape(3, 3)
        reach = np.linalg.norm(at - stat.center)
        first.position, first.look_at = tuple(at), tuple(at - axes[:, 2] * reach)
        first.fov = float(np.deg2rad(self._model.cam_fovy[number]))

    def _step_back(self, client: viser.ClientHandle) -> None:
        """Show as much across an upright screen as across a square one, in its upper half."""
        first, aspect = self._server.initial_camera, client.camera.aspect
        if aspect >= 1:
            return
        at, towards = np.array(first.position), np.array(first.look_at)
        away = min(1 / aspect, _FARTHEST) * (at - towards)
        lower = np.array([0.0, 0.0, _LOWER * np.linalg.norm(away) * np.tan(first.fov / 2)])
        with client.atomic():
            client.camera.position, client.camera.look_at = towards + away - lower, towards - lower
