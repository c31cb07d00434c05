from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from tasks import registry
from tasks.environment import Environment
from tasks.errors import TaskError


def test_the_kitchen_is_made_once(kitchen: Environment) -> None:
    assert registry.make("kitchen") is kitchen
    assert kitchen.spec.name == "kitchen"


def test_an_unknown_environment_is_answered_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"^no environment 'kitchn'; did you mean 'kitchen'\?$"):
        registry.make("kitchn")


def test_an_environment_can_be_registered_once(kitchen: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    registry.register("copy", lambda: kitchen)
    assert registry.make("copy") is kitchen
    for name in ("copy", "kitchen"):
        with pytest.raises(TaskError, match="registered already"):
            registry.register(name, lambda: kitchen)


@pytest.mark.parametrize("first", ["tasks", "mbtransfer"])
def test_gymnasium_knows_the_kitchen_after_an_import(first: str) -> None:
    code = (
        f"import sys, {first}, gymnasium; print(gymnasium.spec('mbtransfer/Kitchen-v0').id, "
        "[name for name in ('torch', 'mujoco', 'dm_control') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "mbtransfer/Kitchen-v0 []", result.stderr


def test_making_the_kitchen_says_nothing_and_leaves_opengl_alone() -> None:
    code = (
        "import os; before = dict(os.environ); from tasks.registry import make; make('kitchen'); import sys; "
        "print(dict(os.environ) == before, 'OpenGL' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True
    )
    assert (result.stdout.strip(), result.stderr) == ("True False", "")


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("kitchen", "nowhere:nothing", None),  # built-in ones come first
        ("plugged", "tests_plugin:made", None),
        ("other", "tests_plugin:made", "made no Environment called 'other'"),
        ("broken", "nowhere:nothing", "raised ModuleNotFoundError"),
    ],
)
def test_an_installed_distribution_brings_an_environment(
    name: str, value: str, wrong: str | None, kitchen: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = ModuleType("tests_plugin")
    spec = dataclasses.replace(kitchen.spec, name="plugged")
    plugin.made = lambda: dataclasses.replace(kitchen, spec=spec)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_plugin", plugin)
    found = EntryPoints([EntryPoint(name, value, registry.PLUGINS)])
    monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))
    registry.make.cache_clear()
    try:
        if wrong:
            with pytest.raises(TaskError, match=wrong):
                registry.make(name)
        else:
            assert registry.make_recorded(name, "a dataset").spec.name == name
    finally:
        registry.make.cache_clear()


def test_the_kitchen_needs_no_dm_control_and_others_say_what_to_install() -> None:
    script = """
import sys
sys.modules["dm_control"] = None
from tasks.registry import make
from tasks.errors import TaskError
make("kitchen").make_scene(())
try:
    make("dm_control:walker")
except TaskError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "dm_control is not installed" in done.stdout
    assert "pip install --no-deps 'dm-control==" in done.stdout
