"""Appearance of the kitchen in pictures: textures and lights."""

from functools import cache
from importlib.resources import files
from xml.etree import ElementTree

import mujoco
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

_COLD = np.array([0.17, 0.16, 0.16])
_HOT = np.array([0.95, 0.17, 0.04])
_SHADE = np.array([0.62, 0.60, 0.54])
_GLOW = np.array([1.0, 0.93, 0.74])
_LAMP = np.array([0.80, 0.66, 0.44])
_ROOM = np.array([0.12, 0.105, 0.07])
_DAY = np.array([0.46, 0.46, 0.47])


def look_model() -> mujoco.MjModel:
    """The model that is drawn: the physics, with what `look.xml` adds to it."""
    here = files("tasks.kitchen")
    texts = ((here / name).read_text(encoding="utf-8") for name in ("kitchen.xml", "look.xml"))
    physics, look = (ElementTree.fromstring(text) for text in texts)
    model: mujoco.MjModel = mujoco.MjModel.from_xml_string(_joined(physics, look))
    paint(model)
    return model


def dress(model: mujoco.MjModel, state: Float[ndarray, " S"]) -> None:
    """Light burners and lamp and let the water run, as knobs, switch and tap stand in the state."""

    def level(joint: str, low: float, high: float) -> float:
        return float(np.clip((state[1 + model.joint(joint).qposadr[0]] - low) / (high - low), 0.0, 1.0))

    for side in ("left", "right"):
        heat = level(f"{side}_knob", 0.15, 1.3)
        burner = model.material(f"burner_{side}")
        burner.rgba[:3] = _COLD + heat * (_HOT - _COLD)
        burner.emission = 0.7 * heat
    light = level("light_switch", -0.5, 0.55)
    lamp = model.material("lamp")
    lamp.rgba[:3] = _SHADE + light * (_GLOW - _SHADE)
    lamp.emission = light
    model.light("lamp").diffuse = light * _LAMP
    model.light("room").diffuse = light * _ROOM
    model.vis.headlight.ambient = _DAY * (1 + 0.1 * light)
    flow = level("tap", -0.5, 0.55)
    model.material("water").rgba[3] = 0.75 * np.sqrt(flow)
    model.geom("water").size[0] = 0.004 + 0.006 * flow
    model.geom("puddle").size[0] = 0.04 + 0.06 * flow


def _joined(physics: ElementTree.Element, look: ElementTree.Element) -> str:
    """One MJCF text: sections are put together, bodies and materials of one name are one."""
    bodies = {body.get("name"): body for body in physics.iter("body")}
    for section in look:
        mine = physics.find(section.tag)
        if mine is None:
            physics.append(section)
            continue
        for element in section:
            name = element.get("name")
            if element.tag == "body":
                bodies[name].extend(element)
                continue
            for old in [old for old in mine if name and old.get("name") == name and old.tag == element.tag]:
                mine.remove(old)
            mine.append(element)
    return ElementTree.tostring(physics, encoding="unicode")


SIZE = 512
"""Pixels along one side; every surface repeats without a seam."""


def paint(model: mujoco.MjModel) -> None:
    """Fill the textures of `look.xml` that bear a name known here."""
    for name, image in _surfaces().items():
        start = model.texture(name).adr[0]
        model.tex_data[start : start + image.size] = image.reshape(-1)


@cache
def _surfaces() -> dict[str, UInt8[ndarray, "h w 3"]]:
    painters = {"planks": _planks, "bricks": _tiles, "grain": _grain, "speckle": _speckle}
    images = {name: painter(np.random.default_rng(0)) for name, painter in painters.items()}
    return {name: np.clip(image, 0, 255).astype(np.uint8) for name, image in images.items()}


def _noise(rng: np.random.Generator, across: float, along: float) -> Float[ndarray, "h w"]:
    """Smooth noise of unit variance that repeats: blotches `across` pixels high and `along` pixels wide."""
    frequency = np.fft.fftfreq(SIZE)
    blur = np.exp(-2 * (np.pi * frequency) ** 2 * np.array([[across], [along]]) ** 2)
    spectrum = np.fft.fft2(rng.normal(size=(SIZE, SIZE))) * blur[0][:, None] * blur[1][None, :]
    noise = np.fft.ifft2(spectrum).real
    return noise / noise.std()


def _coloured(rgb: tuple[int, int, int], shade: Float[ndarray, "h w"]) -> Float[ndarray, "h w 3"]:
    return np.array(rgb) * (1 + shade[..., None])


def _fibres(rng: np.random.Generator) -> Float[ndarray, "h w"]:
    """Wood: long fibres, and the slow waves of the rings."""
    rings = np.sin(2.2 * _noise(rng, 22.0, 150.0) + 0.9 * _noise(rng, 6.0, 120.0))
    return 0.035 * _noise(rng, 1.0, 40.0) + 0.03 * _noise(rng, 3.0, 90.0) + 0.045 * rings


def _grain(rng: np.random.Generator) -> Float[ndarray, "h w 3"]:
    return _coloured((196, 150, 104), _fibres(rng))


def _planks(rng: np.random.Generator, rows: int = 8, columns: int = 2) -> Float[ndarray, "h w 3"]:
    """Floor boards in running bond, each cut from another place of the wood."""
    wood, shade = _fibres(rng), np.zeros((SIZE, SIZE))
    height, width = SIZE // rows, SIZE // columns
    for row in range(rows):
        for column in range(columns):
            x = column * width + (row * 97) % width
            y, xs = np.arange(row * height, (row + 1) * height), np.arange(x, x + width) % SIZE
            board = np.roll(wood, rng.integers(SIZE, size=2), axis=(0, 1))[: len(y), : len(xs)]
            board = board + rng.normal(0, 0.05)
            board[:2] -= 0.3
            board[:, :2] -= 0.3
            shade[np.ix_(y, xs)] = board
    return _coloured((168, 124, 84), shade)


def _tiles(rng: np.random.Generator, rows: int = 8, columns: int = 4) -> Float[ndarray, "h w 3"]:
    """Glazed wall tiles in running bond, light grout between them."""
    height, width, shade = SIZE // rows, SIZE // columns, np.zeros((SIZE, SIZE))
    for row in range(rows):
        for column in range(columns):
            x = column * width + (row % 2) * width // 2
            tile = np.full((height, width), rng.normal(0, 0.012))
            tile[3:6, 3:] += 0.03
            tile[-4:, 3:] -= 0.03
            tile[:3] = tile[:, :3] = -0.13
            y = np.arange(row * height, (row + 1) * height)
            shade[np.ix_(y, np.arange(x, x + width) % SIZE)] = tile
    return _coloured((240, 236, 226), shade + 0.004 * _noise(rng, 20.0, 20.0))


def _speckle(rng: np.random.Generator) -> Float[ndarray, "h w 3"]:
    """Light stone: clouds and small grains."""
    dark, light = _noise(rng, 1.6, 1.6) > 2.1, _noise(rng, 2.2, 2.2) > 2.1
    return _coloured((226, 220, 208), 0.012 * _noise(rng, 50.0, 70.0) - 0.06 * dark + 0.05 * light)
