"""Input that is wrong in any way is answered by one line: bytes spoilt, values of the wrong kind, hostile names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbtransfer.errors import USER_ERRORS
from mbtransfer.mpc.agent import action_bounds
from mbtransfer.mpc.task_policy import prepared_path
from mbtransfer.protocols import read_protocol, shipped_protocols
from mbtransfer.sweep.config import read_sweep_file
from mbtransfer.task_file import load_task_file
from mbtransfer.training.policy import load_prepared
from tasks.recipe import load_recipe
from tasks.registry import make
from world_models.checkpoint.storage import load_tensors, save_tensors

malformed = pytest.importorskip("benchmarks.malformed", reason="a wheel comes without benchmarks")

KITCHEN = make("kitchen")
FIXED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES, inner, max_size=3),
    max_leaves=5,
)
SHAPES = ("", "[0]", "[:, None]", ".sum()", ".long()", " * float('nan')")
READERS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "protocol": (shipped_protocols()["franka"], lambda path: read_protocol(str(path))),
    "sweep": (Path("examples/sweeps/planner.yaml"), read_sweep_file),
    "recipe": (Path("examples/my_recipe.yaml"), lambda path: load_recipe(path, KITCHEN)),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Random], object]]:
    """Every kind of input, and how one that is spoilt at random is read."""
    found: dict[str, Callable[[Random], object]] = malformed.kinds(tmp_path_factory.mktemp("spoilt"))
    return found


@pytest.mark.parametrize(
    "kind",
    ["recipe", "protocol", "sweep", "rows", "model", "dataset", "prepared", "import", "command line"],
)
@FIXED
@given(rng=st.randoms(use_true_random=False))
def test_spoilt_bytes(kinds: dict[str, Callable[[Random], object]], kind: str, rng: Random) -> None:
    assert malformed.answer(kinds[kind], rng) in ("read", "refused")


@pytest.mark.parametrize("kind", list(READERS))
@FIXED
@given(data=st.data())
def test_values_of_the_wrong_kind(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    source, read = READERS[kind]
    content = yaml.safe_load(source.read_text())
    spoilt = replaced(content, data.draw(st.sampled_from(places(content))), data.draw(VALUES))
    path = tmp_path / source.name
    path.write_text(yaml.safe_dump(spoilt, allow_unicode=True), encoding="utf-8")
    assert one_line(lambda: read(path))


@FIXED
@given(data=st.data())
def test_tensors_that_are_none_of_ours(
    kinds: dict[str, Callable[[Random], object]],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    """Whole files with a checksum that fits, but of other names, types, shapes or numbers."""
    ready = next(tmp_path_factory.getbasetemp().glob("spoilt*/ready/prepared/*.safetensors"))
    tensors, about = load_tensors(ready)
    name = data.draw(st.sampled_from(sorted(tensors)))
    wrong: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "double": lambda x: x.double(), "whole": lambda x: x.long(), "longer": lambda x: torch.cat([x, x]),
        "empty": lambda x: x[:0], "flat": lambda x: x.reshape(-1), "nan": lambda x: x * torch.nan,
        "huge": lambda x: x * 0 + 3e38,
    }  # fmt: skip
    kind = data.draw(st.sampled_from([*wrong, "missing", "told"]))
    if kind == "missing":
        del tensors[name]
    elif kind == "told":
        about = replaced(about, data.draw(st.sampled_from(places(about))), data.draw(LEAVES.filter(is_json)))
    else:
        tensors[name] = wrong[kind](tensors[name])
    folder = tmp_path_factory.mktemp("ready")
    save_tensors(prepared_path(folder, "drawer_open"), tensors, about)
    bounds = action_bounds(KITCHEN.spec)
    assert one_line(lambda: load_prepared(folder, "drawer_open", str(about.get("model")), bounds))


@FIXED
@given(
    name=st.text(max_size=30),
    shape=st.sampled_from(["", "[0]", "[:, None]", ".sum()", ".long()", " * float('nan')"]),
)
def test_task_files_of_any_name_and_shape(tmp_path: Path, name: str, shape: str) -> None:
    path = tmp_path / "own.py"
    body = f"def reward(obs, action, next_obs):\n    return next_obs[..., 0]{shape}\n"
    body += "def success(obs):\n    return obs[..., 0] > 0\n"
    path.write_text(f"NAME = {name!r}\n{body}", encoding="utf-8", errors="surrogatepass")
    assert one_line(lambda: load_task_file(path, KITCHEN))


def one_line(read: Callable[[], object]) -> bool:
    """Whether something is read, or refused in one line."""
    try:
        read()
    except (*USER_ERRORS, OSError) as error:
        return len(str(error).splitlines()) <= 1
    return True


def is_json(value: object) -> bool:
    return not isinstance(value, float) or (value == value and abs(value) < float("inf"))


def places(content: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value in nested lists and mappings."""
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    return (
        [here, *(way for key, value in inner for way in places(value, (*here, key)))]
        if here
        else [way for key, value in inner for way in places(value, (key,))]
    )


def replaced(content: Any, way: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value there."""
    fresh = copy.deepcopy(content)
    at = fresh
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value
    return fresh
