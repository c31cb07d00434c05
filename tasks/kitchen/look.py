"""How the kitchen looks in pictures, and how its look answers what the robot does."""

from importlib.resources import files
from xml.etree import ElementTree

import mujoco
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from tasks.kitchen.textures import paint

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
