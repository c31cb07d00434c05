from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from tasks import render
from tasks.errors import TaskError
from tasks.kitchen import picture
from tasks.kitchen.picture import TEA_TIME, posed
from tasks.kitchen.visuals import dress, look_model
from tasks.render import Renderer, RenderUnavailable, backend
from tasks.simulator import Simulator

SIZE = (96, 64)
CALM = {"light_switch": -0.6, "tap": -0.6}


@pytest.fixture
def renderer_here() -> str:
    try:
        return backend()
    except RenderUnavailable as error:
        pytest.skip(str(error))


def shot(scene: Simulator, camera: str = "", **joints: float) -> np.ndarray:
    with Renderer(scene, *SIZE, camera) as renderer:
        return renderer.frame(posed(scene, {**CALM, **joints}))


def test_the_drawn_model_moves_like_the_physics(scene: Simulator) -> None:
    drawn, physics = look_model(), scene.model
    assert (drawn.nq, drawn.nv, drawn.nu) == (physics.nq, physics.nv, physics.nu)
    assert [drawn.joint(i).name for i in range(drawn.njnt)] == [
        physics.joint(i).name for i in range(drawn.njnt)
    ]
    first, second = mujoco.MjData(drawn), mujoco.MjData(physics)
    for state in scene.sample_states(np.random.default_rng(0), 5):
        for model, data in ((drawn, first), (physics, second)):
            mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
            mujoco.mj_kinematics(model, data)
        assert np.array_equal(first.site_xpos, second.site_xpos)


def test_the_physics_is_not_slowed_down_by_its_look(scene: Simulator) -> None:
    assert scene.model.ngeom < look_model().ngeom / 3
    assert scene.model.nlight == scene.model.ncam == 0


def test_only_fixtures_can_be_touched() -> None:
    model = look_model()
    touchable = [g for g in range(model.ngeom) if model.geom_contype[g] or model.geom_conaffinity[g]]
    assert all(model.geom_bodyid[g] != 0 for g in touchable)


def test_knobs_lamp_and_tap_change_the_look(scene: Simulator) -> None:
    model = look_model()

    def look(**joints: float) -> dict[str, float]:
        dress(model, posed(scene, {**CALM, **joints}))
        return {
            "left": model.material("burner_left").emission[0],
            "right": model.material("burner_right").emission[0],
            "lamp": model.material("lamp").emission[0],
            "light": float(model.light("lamp").diffuse.sum()),
            "water": float(model.material("water").rgba[3]),
        }

    assert set(look().values()) == {0.0}
    assert look(left_knob=1.4)["left"] > look(left_knob=0.7)["left"] > 0 == look(left_knob=1.4)["right"]
    assert look(right_knob=1.4)["right"] > 0
    assert look(light_switch=0.6)["light"] > look(light_switch=0.0)["light"] > 0
    assert look(light_switch=0.6)["lamp"] == 1.0
    assert look(tap=0.6)["water"] > look(tap=0.0)["water"] > 0
    assert set(look().values()) == {0.0}  # and back


def test_a_frame_shows_the_state(scene: Simulator, renderer_here: str) -> None:
    shut = shot(scene)
    assert (shut.shape, shut.dtype) == ((64, 96, 3), np.uint8)
    assert shut.std() > 20
    assert np.array_equal(shot(scene), shut)
    for joints in ({"microwave": 1.3}, {"drawer": 0.27}, {"left_knob": 1.4}, {"tap": 0.6}, {"hand_x": 0.7}):
        assert not np.array_equal(shot(scene, **joints), shut), joints
    assert shot(scene, light_switch=0.6).mean() > shut.mean() + 2
    assert not np.array_equal(shot(scene, "side"), shut)


def test_renderers_do_not_disturb_each_other(scene: Simulator, renderer_here: str) -> None:
    state, alone = posed(scene, TEA_TIME), shot(scene, **TEA_TIME)
    first, second = Renderer(scene, *SIZE), Renderer(scene, 40, 30)
    first.close()
    assert second.frame(state).shape == (30, 40, 3)
    third = Renderer(scene, *SIZE)
    del second
    assert np.array_equal(third.frame(state), alone)
    third.close()
    third.close()
    with pytest.raises(TaskError, match="closed"):
        third.frame(state)


def test_a_renderer_left_open_ends_quietly(renderer_here: str) -> None:
    code = (
        "from tasks.registry import make; from tasks.render import Renderer; "
        "scene = make('kitchen').make_scene(()); renderer = Renderer(scene, 32, 32); "
        "print(renderer.frame(scene.get_state()).shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "(32, 32, 3)", "")


def test_bare_physics_can_be_drawn_too(scene: Simulator, renderer_here: str) -> None:
    bare = Simulator(scene.model, scene.spec, scene.observe, scene._command, scene._sample)
    with Renderer(bare, *SIZE) as renderer:
        assert renderer.frame(posed(bare, TEA_TIME)).std() > 5
    assert scene.model.vis.global_.offwidth != SIZE[0]  # its model was copied


def test_impossible_pictures_are_refused(scene: Simulator) -> None:
    with pytest.raises(TaskError, match="no camera 'cok'; did you mean 'cook'"):
        Renderer(scene, camera="cok")
    for size in ((0, 10), (10, 5000)):
        with pytest.raises(TaskError, match="pixels cannot be"):
            Renderer(scene, *size)


def test_without_a_renderer_there_is_one_line(scene: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_first_that_works", lambda names: "")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    with pytest.raises(RenderUnavailable, match="no renderer works here") as caught:
        Renderer(scene)
    assert "libosmesa6" in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(RenderUnavailable, match="MUJOCO_GL=disable turns rendering off"):
        Renderer(scene)


def test_what_is_asked_for_is_tried_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(render, "_first_that_works", lambda names: asked.append(names) or names[-1])
    monkeypatch.setattr(render.platform, "system", lambda: "Linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert backend() == "osmesa"
    monkeypatch.delenv("MUJOCO_GL")
    backend()
    monkeypatch.setenv("DISPLAY", ":0")
    assert backend() == "glfw"
    assert asked == [("osmesa",), ("egl", "osmesa"), ("egl", "osmesa", "glfw")]


def test_a_renderer_that_does_not_exist_does_not_work() -> None:
    assert not render._works("no_such_renderer")


def test_the_picture_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], renderer_here: str
) -> None:
    small = lambda scene, width, height, camera, fine: Renderer(scene, *SIZE, camera, fine)  # noqa: E731
    monkeypatch.setattr(picture, "Renderer", small)
    assert picture.main([str(tmp_path / "kitchen.png")]) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["kitchen.png"]
    assert picture.main([str(tmp_path / "no" / "kitchen.png")]) == 2
    assert picture.main([]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_tea_time_is_possible(scene: Simulator) -> None:
    for name, value in TEA_TIME.items():
        low, high = scene.model.joint(name).range
        assert low <= value <= high
    assert replace(scene.spec, name="x").fixtures == scene.spec.fixtures
