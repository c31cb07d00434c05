"""Sweep file in W&B's format, validated before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mbtransfer.errors import UserError
from mbtransfer.runtime.yaml_file import read_yaml
from mbtransfer.sweep.parameters import SweepSpec, flat_values, problems


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file asks for.

    Attributes:
        path: the file.
        content: all of it, but for what W&B's search does not know.
        run_cap: trials at most; None: as many as there are.
    """

    path: Path
    content: dict[str, Any]
    run_cap: int | None

    @property
    def metric(self) -> str:
        """Name of the number that is looked at."""
        return str(self.content["metric"]["name"])

    @property
    def maximise(self) -> bool:
        """Whether more of it is better."""
        return self.content["metric"].get("goal") == "maximize"

    @property
    def varied(self) -> list[str]:
        """Parameters that have more than one value, by their flat names."""
        return [name for name, one in self.spec.flat.items() if one.varies]

    def shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial by their flat names."""
        return flat_values(params, self.spec.parameters)

    @cached_property
    def spec(self) -> SweepSpec:
        """What decides which trials are made."""
        return SweepSpec.model_validate(self.content)


def read_sweep_file(path: Path) -> SweepFile:
    """Read and check a file.

    Raises:
        UserError: no such file, not YAML, or not a sweep that can be run here.
    """
    content = read_yaml(path, words_as_booleans=True)  # as W&B reads it
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a sweep: give method, metric, parameters and command")
    run_cap = content.pop("run_cap", None)
    if run_cap is not None and not (isinstance(run_cap, int) and run_cap > 0):
        raise UserError(f"{path}: run_cap must be a whole number above 0, not {run_cap!r}")
    for part, kind in (("method", str), ("metric", dict), ("parameters", dict)):
        if not isinstance(content.get(part), kind):
            raise UserError(f"{path} has no {part}, or none that can be read")
    if wrong := problems(content):
        raise UserError(f"{path}: {'; '.join(wrong)}")
    if not content.get("command") and not content.get("program"):
        raise UserError(f"{path} has neither command nor program")
    return SweepFile(path, content, run_cap)
