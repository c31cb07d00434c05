"""Saving and loading of a fitted ensemble.

The weights go to a file named by their own checksum, then the manifest that names it is replaced in one step,
then older weights are removed. Killed at any instant, a folder holds the old model or the new one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from world_models.checkpoint.atomic import listed
from world_models.checkpoint.manifest import (
    first_difference,
    make_manifest,
    read_config,
    read_layout,
    read_manifest,
)
from world_models.checkpoint.storage import (
    load_tensors,
    pack,
    read_bytes,
    save_tensors,
    unpack,
    write_atomically,
)
from world_models.dynamics.ensemble import EnsembleConfig, EnsembleDynamics
from world_models.errors import ModelError
from world_models.layout import Layout

__all__ = ["load_dynamics", "load_tensors", "save_dynamics", "save_tensors"]

MANIFEST = "manifest.json"


def save_dynamics(
    folder: str | os.PathLike[str],
    dynamics: EnsembleDynamics,
    extra: Mapping[str, Any] | None = None,
    *,
    data_hash: str = "",
) -> None:
    """Write a model into a folder, in place of the one that may be there.

    Args:
        folder: made if it does not exist.
        dynamics: the fitted ensemble.
        extra: anything that fits in JSON; `load_dynamics` gives it back, NaN and infinity as None.
        data_hash: what identifies the data that the model was fitted on.

    Raises:
        ModelError: a weight is not finite, or the folder cannot be written; the older model is unharmed.
    """
    home, tensors = Path(folder), dynamics.state_dict()
    check_finite(tensors, "the model")
    data = pack(tensors)
    checksum = hashlib.sha256(data).hexdigest()
    file = f"dynamics-{checksum[:16]}.safetensors"
    where = {"file": file, "sha256": checksum}
    manifest = make_manifest(dynamics.config, dynamics.layout, where, data_hash, extra or {})
    write_atomically(home / file, data)
    write_atomically(home / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    for older in listed(home, "dynamics-*.safetensors"):
        if older.name != file:
            with suppress(OSError):  # the new model is whole; a leftover does no harm
                older.unlink()


def load_dynamics(
    folder: str | os.PathLike[str], expect: Layout | None = None, device: torch.device | str = "cpu"
) -> tuple[EnsembleDynamics, dict[str, Any]]:
    """Read a model back, and its manifest.

    Args:
        folder: what `save_dynamics` wrote.
        expect: the layout of the environment that it is for; None takes any.
        device: where the model goes.

    Raises:
        ModelError: one line that says what is missing, damaged, or does not fit.
    """
    home = Path(folder)
    if not (home / MANIFEST).is_file():
        raise ModelError(f"{home} is not a model folder: it has no {MANIFEST}; make one with `fit`")
    name = str(home / MANIFEST)
    manifest = read_manifest(read_bytes(home / MANIFEST), name)
    config, layout = read_config(manifest, name), read_layout(manifest, name)
    difference = first_difference(layout, expect) if expect else None
    if difference:
        raise ModelError(f"the model in {home} does not fit this environment: {difference}")
    tensors = _read_weights(home, manifest)
    dynamics = _untrained(config, layout, tensors, name)
    _check_tensors(tensors, dynamics.state_dict(), f"the model in {home}")
    dynamics.elites = tensors["elites"]
    dynamics.load_state_dict(tensors)
    return dynamics.to(device), manifest


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """See that no number is NaN or infinite.

    Raises:
        ModelError: names the tensor.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ModelError(f"{what} has a value in {name} that is not finite; fit it again")


def _read_weights(home: Path, manifest: Mapping[str, Any]) -> dict[str, Tensor]:
    where = manifest.get("tensors")
    if not isinstance(where, dict) or not isinstance(where.get("file"), str):
        raise ModelError(f"{home / MANIFEST} does not say where the weights are; fit the model again")
    path = home / Path(where["file"]).name  # never outside of the folder
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != where.get("sha256"):
        raise ModelError(f"{path} is damaged: its checksum is not the manifest's; fit the model again")
    return unpack(data, path)[0]


def _untrained(
    config: EnsembleConfig, layout: Layout, tensors: Mapping[str, Tensor], name: str
) -> EnsembleDynamics:
    """The ensemble that the tensors are to fill; a manifest that claims more than they hold gets no memory for it."""
    last = f"weights.{config.layers}"
    sets, width = (*tensors["weights.0"].shape, 0, 0)[:2] if "weights.0" in tensors else (0, 0)
    if last not in tensors or sets < config.members or width < config.hidden:
        raise ModelError(f"{name}: its weights are not those of {config}")
    try:
        return EnsembleDynamics(layout, config)
    except (IndexError, ValueError) as error:
        raise ModelError(f"{name}: no model can be built from it: {error}") from error


def _check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise ModelError(f"{what} lacks tensor {missing[0]}")
    if unknown := sorted(found.keys() - expected.keys()):
        raise ModelError(f"{what} has a tensor {unknown[0]} that is not of it")
    for name, value in expected.items():
        have, want = found[name], tuple(value.shape)
        if have.dtype != value.dtype:
            raise ModelError(f"{what}: {name} is {have.dtype}, expected {value.dtype}")
        if name != "elites" and tuple(have.shape) != want:
            raise ModelError(f"{what}: {name} has shape {tuple(have.shape)}, expected {want}")
    check_finite(found, what)
    elites, members = found["elites"].flatten().tolist(), len(expected["elites"])
    if not elites or len(set(elites)) < len(elites) or not set(elites) <= set(range(members)):
        raise ModelError(f"{what}: elites {elites} are not some of its {members} members")
    for name in ("normalizer.scale", "normalizer.change"):
        if float(found[name].min()) <= 0:
            raise ModelError(f"{what}: {name} must be above zero")
