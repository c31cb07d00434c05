"""Geoms become meshes of their size, place and colour."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

trimesh = pytest.importorskip("trimesh")

from mbtransfer.live.shapes import colour, merged, shape, shown_geoms  # noqa: E402

XML = """
<mujoco>
  <asset>
    <texture name="half" type="2d" builtin="flat" rgb1="0.5 0.5 0.5" width="8" height="8"/>
    <material name="grey" texture="half" rgba="1 0.5 0 1"/>
    <mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
    <hfield name="hill" nrow="3" ncol="4" size="2 1 0.5 0.1" elevation="0 0 0 0  0 1 1 0  0 0 0 0"/>
  </asset>
  <worldbody>
    <body pos="5 0 0">
      <geom type="box" size="0.1 0.2 0.3" pos="1 0 0" rgba="1 0 0 1"/>
      <geom type="sphere" size="0.2" rgba="0 1 0 1"/>
      <geom type="cylinder" size="0.1 0.4" euler="90 0 0"/>
      <geom type="capsule" size="0.1 0.4"/>
      <geom type="ellipsoid" size="0.1 0.2 0.3"/>
      <geom type="plane" size="2 3 1" material="grey"/>
      <geom type="mesh" mesh="wedge"/>
      <geom type="hfield" hfield="hill"/>
      <geom type="box" size="1 1 1" group="3"/>
      <geom type="box" size="1 1 1" rgba="1 1 1 0"/>
    </body>
  </worldbody>
</mujoco>
"""
SIDES = {
    0: (0.2, 0.4, 0.6), 1: (0.4, 0.4, 0.4), 2: (0.2, 0.8, 0.2), 3: (0.2, 0.2, 1.0), 4: (0.2, 0.4, 0.6),
    5: (4.0, 6.0, 0.001), 7: (4.0, 2.0, 0.5),
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(XML)


@pytest.mark.parametrize("geom", SIDES)
def test_a_geom_has_its_size(model: mujoco.MjModel, geom: int) -> None:
    np.testing.assert_allclose(shape(model, geom).extents, SIDES[geom], rtol=0.02)


def test_a_geom_is_where_it_is_in_its_body(model: mujoco.MjModel) -> None:
    np.testing.assert_allclose(shape(model, 0).bounds.mean(axis=0), (1, 0, 0), atol=1e-9)
    points = shape(model, 6).vertices @ _turn(model, 6)  # MuJoCo centres and turns what a mesh is made of
    asset = model.mesh_vert[: len(points)]
    np.testing.assert_allclose(points - points.mean(axis=0), asset - asset.mean(axis=0), atol=1e-6)


def _turn(model: mujoco.MjModel, geom: int) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    return matrix.reshape(3, 3)


def test_what_is_hidden_is_left_out_and_textures_count_as_their_mean(model: mujoco.MjModel) -> None:
    assert shown_geoms(model, 1) == list(range(8))
    np.testing.assert_allclose(colour(model, 5), (127, 63, 0, 255), atol=1)


def test_merged_geoms_keep_their_colours(model: mujoco.MjModel) -> None:
    mesh = merged(model, [0, 1])
    colours = {tuple(colour) for colour in np.asarray(mesh.visual.vertex_colors).tolist()}
    assert colours == {(255, 0, 0, 255), (0, 255, 0, 255)}
    np.testing.assert_allclose(mesh.extents[0], 1.1 + 0.2, rtol=0.02)
