"""Meshes of MuJoCo's geoms, in the frame of their body and with the colour of their material."""

from collections.abc import Sequence
from functools import cache

import mujoco
import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from numpy import ndarray
from trimesh.graph import smooth_shade

_GEOM = mujoco.mjtGeom
_ENDLESS = 10.0
"""Half the length of a plane that has no end, metres."""

_CREASE = 0.6
"""Edges sharper than this angle (rad) stay edges."""

_GROUPS = 3
"""MuJoCo's viewers show geoms of the groups below this one; collision shapes are above it."""


def shown_geoms(model: mujoco.MjModel, body: int) -> list[int]:
    """The geoms of a body that are meant to be seen: of a visible group, and not transparent."""
    begin, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
    return [
        geom
        for geom in range(begin, begin + count)
        if model.geom_group[geom] < _GROUPS and colour(model, geom)[3] > 0
    ]


def colour(model: mujoco.MjModel, geom: int) -> UInt8[ndarray, "4"]:
    """Red, green, blue and opacity of a geom; a texture counts as its mean colour."""
    material = int(model.geom_matid[geom])
    rgba = np.array(model.geom_rgba[geom] if material < 0 else model.mat_rgba[material], np.float64)
    if material >= 0:
        rgba[:3] *= _mean_texture(model, material)
    return np.asarray(np.clip(255 * rgba, 0, 255), np.uint8)


def _mean_texture(model: mujoco.MjModel, material: int) -> Float[ndarray, "3"]:
    role = mujoco.mjtTextureRole.mjTEXROLE_RGB
    texture = int(model.mat_texid[material, int(role)])
    if texture < 0 or int(model.tex_nchannel[texture]) < 3:
        return np.ones(3)
    channels = int(model.tex_nchannel[texture])
    size = int(model.tex_width[texture]) * int(model.tex_height[texture]) * channels
    start = int(model.tex_adr[texture])
    pixels = model.tex_data[start : start + size].reshape(-1, channels)[:, :3]
    mean: ndarray = pixels.mean(axis=0) / 255
    return mean


def merged(model: mujoco.MjModel, geoms: Sequence[int]) -> trimesh.Trimesh:
    """One mesh of several geoms of a body, each in its own colour."""
    parts = []
    for geom in geoms:
        part = shape(model, geom)
        part.visual = trimesh.visual.ColorVisuals(
            part, vertex_colors=np.tile(colour(model, geom), (len(part.vertices), 1))
        )
        parts.append(part)
    whole = trimesh.util.concatenate(parts)
    assert isinstance(whole, trimesh.Trimesh)
    whole.vertex_normals  # noqa: B018 - once computed they are exported, and round things look round
    return whole


def shape(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """The mesh of a geom, in the frame of its body (m)."""
    mesh = _raw(model, geom)
    pose, turn = np.eye(4), np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
    pose[:3, :3], pose[:3, 3] = turn.reshape(3, 3), model.geom_pos[geom]
    mesh.apply_transform(pose)
    return mesh


def _raw(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == _GEOM.mjGEOM_MESH:
        return _of_asset(model, int(model.geom_dataid[geom]))
    if kind == _GEOM.mjGEOM_HFIELD:
        return _of_heights(model, int(model.geom_dataid[geom]))
    if kind == _GEOM.mjGEOM_PLANE:
        x, y = (2 * side if side > 0 else 2 * _ENDLESS for side in size[:2])
        return _box(np.array([x, y, 1e-3]))
    if kind == _GEOM.mjGEOM_BOX:
        return _box(2 * size)
    if kind == _GEOM.mjGEOM_CAPSULE:
        return trimesh.creation.capsule(radius=size[0], height=2 * size[1], count=(16, 16))
    round_one = kind == _GEOM.mjGEOM_CYLINDER
    mesh = (_cylinder() if round_one else _ball()).copy()
    mesh.apply_scale([size[0], size[0], 2 * size[1]] if round_one else _radii(kind, size))
    return mesh


def _radii(kind: int, size: Float[ndarray, "3"]) -> Float[ndarray, "3"]:
    return size if kind == _GEOM.mjGEOM_ELLIPSOID else np.full(3, size[0])


def _box(extents: Float[ndarray, "3"]) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents=extents)
    mesh.unmerge_vertices()  # a vertex of its own for each face: its edges stay edges
    return mesh


@cache
def _cylinder() -> trimesh.Trimesh:
    """Radius 1 and height 1; its rims stay edges, its side is round."""
    return smooth_shade(trimesh.creation.cylinder(radius=1.0, height=1.0, sections=32), angle=_CREASE)


@cache
def _ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3)


def _of_asset(model: mujoco.MjModel, asset: int) -> trimesh.Trimesh:
    points, faces = int(model.mesh_vertadr[asset]), int(model.mesh_faceadr[asset])
    vertices = model.mesh_vert[points : points + int(model.mesh_vertnum[asset])]
    triangles = model.mesh_face[faces : faces + int(model.mesh_facenum[asset])]
    return trimesh.Trimesh(vertices=vertices, faces=triangles, process=False)


def _of_heights(model: mujoco.MjModel, field: int) -> trimesh.Trimesh:
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    x, y, z, _ = model.hfield_size[field]
    start = int(model.hfield_adr[field])
    heights = model.hfield_data[start : start + rows * columns].reshape(rows, columns)
    across, along = np.meshgrid(np.linspace(-x, x, columns), np.linspace(-y, y, rows))
    vertices = np.stack([across, along, heights * z], axis=-1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    lower = corner + np.array([0, 1, columns + 1])
    upper = corner + np.array([0, columns + 1, columns])
    return trimesh.Trimesh(vertices=vertices, faces=np.concatenate([lower, upper]), process=False)
