"""The manifest of a model: metadata, versions and checksums."""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from world_models.dynamics.ensemble import EnsembleConfig
from world_models.errors import ModelError
from world_models.layout import Body, Layout

FORMAT = "mbtransfer-dynamics"

VERSION = 1
"""Raised whenever an older program could not read a newer model, or would read it wrong."""

LIBRARIES = ("mbtransfer", "torch", "safetensors")

Kind = TypeVar("Kind")


def make_manifest(
    config: EnsembleConfig,
    layout: Layout,
    tensors: Mapping[str, str],
    data_hash: str,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of a model; `tensors` says file and SHA-256 of its weights.

    JSON has no NaN and no infinity: in `extra` they become null.
    """
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "libraries": {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
        "config": asdict(config),
        "layout": asdict(layout),
        "data_hash": data_hash,
        "tensors": dict(tensors),
        "extra": _finite(extra),
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest, allow_nan=False))
    return plain | {"sha256": seal(plain)}


def read_manifest(data: bytes, name: str) -> dict[str, Any]:
    """A manifest that is whole and of a format that this program reads; `name` is for messages.

    Raises:
        ModelError: says what is wrong.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is damaged: not JSON; fit the model again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"{name} is not of a model; give the folder that `fit` wrote")
    if manifest.get("version") != VERSION:
        found = f"format version {manifest.get('version')}"
        raise ModelError(f"{name} has {found}, this program reads {VERSION}; fit the model again")
    if manifest.pop("sha256", None) != seal(manifest):
        raise ModelError(f"{name} is damaged or was edited: its checksum does not match; fit the model again")
    return manifest


def seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def read_config(manifest: Mapping[str, Any], name: str) -> EnsembleConfig:
    """The ensemble's settings.

    Raises:
        ModelError: a setting is missing, unknown, of a wrong type or absurd.
    """
    values, expected = manifest.get("config"), asdict(EnsembleConfig())
    if not isinstance(values, dict) or values.keys() != expected.keys():
        raise ModelError(f"{name}: config must hold {', '.join(expected)}")
    return _read(EnsembleConfig, manifest, "config", name)


def read_layout(manifest: Mapping[str, Any], name: str) -> Layout:
    """What the model knows of its world.

    Raises:
        ModelError: it is incomplete, or contradicts itself.
    """
    layout = _read(Layout, manifest, "layout", name)
    if problem := _contradiction(layout):
        raise ModelError(f"{name}: its layout makes no sense ({problem}); fit the model again")
    return layout


def _read(kind: type[Kind], manifest: Mapping[str, Any], key: str, name: str) -> Kind:
    """One entry of a manifest; from JSON, because there a list may stand for a tuple, and nothing else is converted."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(manifest.get(key)), strict=True)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, (key, *wrong["loc"])))
        given = repr(wrong["input"])[:100]
        raise ModelError(f"{name}: {place} is {given}: {wrong['msg']}; fit the model again") from error


def _contradiction(layout: Layout) -> str | None:
    """What makes no sense in a layout; None if nothing."""
    size = layout.obs_size
    if not size or any(len(part) != size for part in (layout.low, layout.high, layout.limited)):
        return "columns and limits differ in number"
    for column, low, high in zip(layout.columns, layout.low, layout.high, strict=True):
        if not -math.inf < low < high < math.inf:
            return f"column {column!r} goes from {low} to {high}"
    for at in layout.angles:
        if not 0 <= at < size or layout.limited[at]:
            return f"angle {at} is no unlimited column"
    if layout.axes and (len(layout.axes) != 9 or not set(layout.axes) <= set(range(size))):
        return f"axes {layout.axes!r} are not nine columns"
    if not set(layout.constant) <= set(range(size)):
        return f"constant columns {layout.constant!r} of {size}"
    bodies = [*layout.objects, *([layout.hand] if layout.hand else [])]
    for body in bodies:
        for at in (*body.positions, *body.velocities, *body.vector):
            if not 0 <= at < size:
                return f"body {body.name!r} has column {at} of {size}"
    return None


def first_difference(model: Layout, world: Layout) -> str | None:
    """The first thing in which two layouts differ, in words; None when they are equal."""
    if model.columns != world.columns:
        if len(model.columns) != len(world.columns):
            return f"{len(model.columns)} observation columns in the model, {len(world.columns)} here"
        at = next(i for i, name in enumerate(model.columns) if name != world.columns[i])
        return f"observation column {at} is {model.columns[at]} in the model, {world.columns[at]} here"
    if model.action_size != world.action_size:
        return f"{model.action_size} actions in the model, {world.action_size} here"
    if model.angles != world.angles:
        return f"columns {model.angles} are angles in the model, {world.angles} here"
    if model.axes != world.axes:
        return f"columns {model.axes} are the hand's axes in the model, {world.axes} here"
    if model.constant != world.constant:
        return f"columns {model.constant} are constant in the model, {world.constant} here"
    for what in ("low", "high", "limited"):
        ours, theirs = getattr(model, what), getattr(world, what)
        for i, column in enumerate(model.columns):
            if ours[i] != theirs[i]:
                return f"{what} of {column} is {ours[i]} in the model, {theirs[i]} here"
    return _body_difference((model.hand, *model.objects), (world.hand, *world.objects))


def _body_difference(model: tuple[Body | None, ...], world: tuple[Body | None, ...]) -> str | None:
    if len(model) != len(world):
        return f"{len(model) - 1} objects in the model, {len(world) - 1} here"
    for ours, theirs in zip(model, world, strict=True):
        if ours != theirs:
            names = [body.name if body else "no hand" for body in (ours, theirs)]
            return f"{names[0]} in the model is {names[1]} here, or has other columns"
    return None


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
