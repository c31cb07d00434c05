from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from mbtransfer.errors import UserError
from mbtransfer.task_file import MAX_BYTES, load_task_file
from tasks.environment import Environment
from tasks.registry import make
from tasks.task import Move, Task

GOOD = '''\
"""Leave the drawer ajar."""
drawer = spec.fixture("drawer")

def reward(obs, action, next_obs):
    return -(next_obs[..., drawer.position] - 0.08).abs()

def success(obs):
    return (obs[..., drawer.position] - 0.08).abs() < 0.02
'''


@pytest.fixture(scope="module")
def env() -> Environment:
    return make("kitchen")


def load(folder: Path, env: Environment, text: str, name: str = "ajar.py") -> list[Task]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_task_file(path, env)


def test_two_functions_are_a_task(tmp_path: Path, env: Environment) -> None:
    (task,) = load(tmp_path, env, GOOD)
    assert (task.name, task.description, task.split) == ("ajar", "Leave the drawer ajar.", "user")
    obs = torch.zeros(2, 3, env.spec.obs_size)
    obs[..., env.spec.fixture("drawer").position] = 0.08
    assert bool(task.success(obs).all())
    torch.testing.assert_close(task.reward(obs, torch.zeros(2, 3, 4), obs), torch.zeros(2, 3))


def test_name_and_description_can_be_given(tmp_path: Path, env: Environment) -> None:
    (task,) = load(tmp_path, env, GOOD + "NAME = 'a_gap'\nDESCRIPTION = 'A gap.'\n")
    assert (task.name, task.description) == ("a_gap", "A gap.")


def test_instances_a_list_and_subclasses_are_tasks_too(tmp_path: Path, env: Environment) -> None:
    instances = "gap = env.move('drawer', 0.1)\n_base = env.task('drawer_open')\n"
    (task,) = load(tmp_path, env, instances)
    assert isinstance(task, Move) and task.split == "user"

    listed = load(
        tmp_path, env, "TASKS = [env.move('tap', 0.2), env.move('tap', 0.4)]\nother = env.reach('tap')\n"
    )
    assert [task.name for task in listed] == ["move(tap, 0.2)", "move(tap, 0.4)"]

    subclass = (
        "from tasks.kitchen.scene import spec as kitchen\nfrom tasks.task import Task\n"
        "class Ajar(Task):\n    '''A gap.'''\n"
        "    def reward(self, obs, action, next_obs):\n"
        "        return -next_obs[..., kitchen().index('drawer')]\n"
        "    def success(self, obs):\n        return obs[..., kitchen().index('drawer')] < 0.1\n"
    )
    (task,) = load(tmp_path, env, subclass)
    assert (task.name, task.description, task.split) == ("Ajar", "A gap.", "user")
    (task,) = load(tmp_path, env, subclass + "mine = Ajar('slit', 'A slit.', 'source')\n")
    assert (task.name, task.split) == ("slit", "user")


def test_dataclass_tasks_with_settings(tmp_path: Path, env: Environment) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom tasks.task import Task\n"
        "@dataclass(frozen=True)\nclass Gap(Task):\n    wide: float\n"
        "    def reward(self, obs, action, next_obs):\n        return -(next_obs[..., 6] - self.wide).abs()\n"
        "    def success(self, obs):\n        return (obs[..., 6] - self.wide).abs() < 0.02\n"
    )
    made = load(
        tmp_path, env, text + "TASKS = {n: Gap(n, '', 'user', w) for n, w in [('a', 0.1), ('b', 0.2)]}\n"
    )
    assert [task.name for task in made] == ["a", "b"]
    with pytest.raises(
        UserError, match=r"Gap needs more than name, description and split .*my_task = Gap\(\.\.\.\)"
    ):
        load(tmp_path, env, text)


def test_a_helper_beside_the_file_is_found(
    tmp_path: Path, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "ajar_helper.py").write_text("TARGET = 0.08\n")
    load(tmp_path, env, "from ajar_helper import TARGET\n" + GOOD.replace("0.08", "TARGET"))


def test_two_files_of_one_name_stay_apart(tmp_path: Path, env: Environment) -> None:
    (tmp_path / "other").mkdir()
    (first,) = load(tmp_path, env, GOOD)
    (second,) = load(tmp_path / "other", env, GOOD.replace("0.08", "0.2"))
    obs = torch.full((1, env.spec.obs_size), 0.08)
    assert bool(first.success(obs)) and not bool(second.success(obs))


BODY = "    return -(next_obs[..., drawer.position] - 0.08).abs()\n"
CHECK = "    return (obs[..., drawer.position] - 0.08).abs() < 0.02\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"drawer"', '"drawr"', 2, "running it raised TaskError: kitchen: no fixture 'drawr'; did you mean"),
        (BODY, "    return -next_obs[..., 999]\n", 5, "reward of task 'ajar' raised IndexError"),
        (BODY, "    return _far(next_obs)\ndef _far(x):\n    return x.nothing\n", 7, "raised AttributeError"),
        (BODY, "    return next_obs[..., :1]\n", 4, "returned shape [12, 1], not [12]: one value for each"),
        (BODY, "    return next_obs[:, 0]\n", 4, "returned shape [3, 53], not [3, 4]"),
        (BODY, "    return next_obs[..., 0].mean()\n", 4, "returned shape [], not [12]"),
        (BODY, "    return -0.5\n", 4, "returned float, not a torch tensor of shape [12]"),
        (BODY, "    return next_obs[..., 0].numpy()\n", 4, "returned ndarray, not a torch tensor"),
        (BODY, "    pass\n", 4, "returned NoneType, not a torch tensor"),
        (BODY, "    return next_obs[..., 0] + 1j\n", 4, "returned dtype complex64; every reward must be a real"),
        (BODY, "    return (next_obs[..., 0] - 9).sqrt()\n", 4, "returned NaN or infinity"),
        (BODY, "    return (0 * next_obs[..., 0]).log()\n", 4, "returned NaN or infinity"),
        (BODY, "    next_obs[..., 0] = 0\n    return obs[..., 0]\n", 4, "changed the tensors it was given"),
        (BODY, "    return next_obs[..., 0] - next_obs[..., 0].mean()\n", 4, "gives a state another value"),
        (BODY, "    raise SystemExit(3)\n", 5, "raised SystemExit: 3"),
        ("obs, action, next_obs):", "obs, next_obs):", 4, "reward of task 'ajar' raised TypeError"),
        (CHECK, "    return (obs[..., drawer.position] - 0.08).abs()\n", 7, "returned dtype float32, not bool: comp"),
        (CHECK, "    return bool((obs[..., 0] > 0).all())\n", 7, "success of task 'ajar' returned bool, not"),
        (CHECK, "    return (obs[..., 0] > 0).all()\n", 7, "returned shape [], not [12]"),
        (CHECK, "    return spec.index('tapp')\n", 8, "no observation 'tapp'; did you mean 'tap'?"),
        ("def success(obs):", "def success(obs:", 7, "not Python"),
        ("def success", "def succes", 0, "defines reward but no function success; a task needs both"),
        ("def reward", "def rewards", 0, "defines success but no function reward; a task needs both"),
        ("def reward", "import nothing_there\ndef reward", 4, "raised ModuleNotFoundError: No module named"),
        ("def reward", "raise SystemExit('no')\ndef reward", 4, "running it raised SystemExit: no"),
        ("def reward", "NAME = 3\ndef reward", 0, "NAME must be a text, not int"),
        ("def reward", "NAME = 'drawer_open'\ndef reward", 0, "kitchen has a task 'drawer_open' already"),
        ("def reward", "NAME = '../up'\ndef reward", 0, "a task cannot be called '../up'"),
        ("def reward", "NAME = ''\ndef reward", 0, "a task cannot be called ''"),
        ("def reward", "NAME = '-x'\ndef reward", 0, "a task cannot be called '-x'"),
        ("def reward", "TASKS = [1]\ndef reward", 0, "TASKS must be a list of tasks"),
        ("def reward", "TASKS = []\ndef reward", 0, "defines no task; write reward(obs, action, next_obs)"),
        ("def reward", "TASKS = [env.move('tap', x) for x in (0.1, 0.1)]\ndef reward", 0, "two tasks called"),
        ("def reward", "raise ValueError('two\\nlines')\ndef reward", 4, "ValueError: two lines"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_line(
    tmp_path: Path, env: Environment, old: str, new: str, line: int, said: str
) -> None:
    assert old in GOOD
    modules = set(sys.modules)
    with pytest.raises(UserError) as caught:
        load(tmp_path, env, GOOD.replace(old, new))
    message = str(caught.value)
    where = re.escape(str(tmp_path / "ajar.py")) + (f":{line}: " if line else ": ")
    assert re.match(where, message), message
    assert said in message
    assert "\n" not in message
    assert not {name for name in set(sys.modules) - modules if name.startswith("task_file")}


def test_files_that_are_none(tmp_path: Path, env: Environment) -> None:
    (tmp_path / "latin.py").write_bytes("# grün\n".encode("latin-1"))
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "large.py").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "empty.py").write_bytes(b"")
    cases = {
        "missing.py": "does not exist", ".": "is not a file",
        "latin.py": "not Python", "null.py": "not Python",
        "large.py": "larger than 1024 KiB", "empty.py": "defines no task",
    }  # fmt: skip
    for name, said in cases.items():
        with pytest.raises(UserError) as caught:
            load_task_file(tmp_path / name, env)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    if os.geteuid() != 0:
        (tmp_path / "empty.py").chmod(0)
        with pytest.raises(UserError, match="cannot be read"):
            load_task_file(tmp_path / "empty.py", env)


def test_ctrl_c_is_no_mistake_of_the_file(tmp_path: Path, env: Environment) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, env, "raise KeyboardInterrupt\n")


def test_the_example_of_the_documentation_works(tmp_path: Path, env: Environment) -> None:
    page = Path(__file__).parents[2] / "docs" / "tasks.md"
    if not page.is_file():
        pytest.skip("the documentation is not here")
    (example,) = [
        part for part in re.findall(r"```python\n(.*?)```", page.read_text(), re.S) if "NAME" in part
    ]
    (task,) = load(tmp_path, env, example)
    assert task.name == "drawer_ajar"
