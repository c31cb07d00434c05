"""Parser of recipes, with errors by file and line; shipped recipes by name."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import yaml

from tasks.errors import TaskError
from tasks.recipe.recipe import (
    DEFAULT_GRACE,
    DEFAULT_HOLD,
    MAX_STEPS,
    Group,
    Recipe,
    RecipeEnvironment,
    RecipeStep,
    conflict,
)
from tasks.recipe.yaml_reader import MAX_BYTES, NodeReader, kind, quoted, read_source
from tasks.spec import nearest
from tasks.task import Reach, Task

MAX_COUNT = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RECIPE_KEYS = ("name", "description", "grace", "steps")
_ACTIONS = ("task", "move", "reach")
_STEP_KEYS = (*_ACTIONS, "to", "label", "timeout", "retries", "optional", "hold", "guard")

Pairs = Mapping[str, tuple[yaml.Node, yaml.Node]]


def load_recipe(path_or_text: str | Path, env: RecipeEnvironment) -> Recipe:
    """Reads a recipe for an environment.

    Args:
        path_or_text: A file, or the YAML itself (a str with more than one line).
        env: Where names and ranges come from.

    Raises:
        TaskError: `FILE:LINE: what is wrong; nearest valid name or range`, on one line.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return parse_recipe(path_or_text, env)
    path = Path(path_or_text)
    return parse_recipe(read_source(path), env, source=str(path))


def parse_recipe(text: str, env: RecipeEnvironment, *, source: str = "<recipe>") -> Recipe:
    """Reads a recipe from its YAML; `source` is what messages call the file.

    Raises:
        TaskError: As `load_recipe`.
    """
    reader = NodeReader(source)
    if len(text) > MAX_BYTES:
        reader.fail(1, f"longer than {MAX_BYTES} characters; a recipe is a short text")
    return _RecipeParser(reader, env).recipe(reader.compose(text))


class _RecipeParser:
    def __init__(self, reader: NodeReader, env: RecipeEnvironment) -> None:
        self.read = reader
        self.env = env

    def recipe(self, root: yaml.Node) -> Recipe:
        pairs = self.read.mapping(root, "a recipe", _RECIPE_KEYS)
        for key in ("name", "steps"):
            if key not in pairs:
                self.read.fail(root, f"the recipe has no '{key}'; add '{key}: ...'")
        name = self._name(pairs["name"][1])
        description = self.read.text(pairs["description"][1], "description") if "description" in pairs else ""
        grace = self._count(pairs, "grace", 0, DEFAULT_GRACE)
        key_node, steps_node = pairs["steps"]
        groups = tuple(self._group(node) for node in self.read.sequence(steps_node, "steps"))
        if sum(len(group.steps) for group in groups) > MAX_STEPS:
            self.read.fail(key_node, f"more than {MAX_STEPS} steps; split the recipe")
        with self._located(key_node):
            return Recipe(name, description, groups, grace)

    def _name(self, node: yaml.Node) -> str:
        name = self.read.text(node, "name", 64)
        if not _NAME.fullmatch(name):
            self.read.fail(node, f"name {quoted(name)} may hold only letters, digits, '_' and '-'")
        if name in self.env.tasks:
            self.read.fail(node, f"name '{name}' is the name of a task; give the recipe another one")
        return name

    def _group(self, node: yaml.Node) -> Group:
        keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        if "any_order" not in keys:
            return Group((self._step(node),))
        pairs = self.read.mapping(node, "an any_order group", ("any_order",))
        nodes = self.read.sequence(pairs["any_order"][1], "any_order")
        steps: list[RecipeStep] = []
        for step_node in nodes:
            step = self._step(step_node)
            for earlier in steps:
                if problem := conflict(earlier, step):
                    self.read.fail(step_node, problem)
            steps.append(step)
        return Group(tuple(steps), any_order=True)

    def _step(self, node: yaml.Node) -> RecipeStep:
        if isinstance(node, yaml.ScalarNode):  # '- light_on' is short for '- task: light_on'
            name = self.read.text(node, "a step")
            return RecipeStep(self._named(name, node), name, self.env.spec.episode_steps)
        if isinstance(node, yaml.MappingNode) and any(key.value == "any_order" for key, _ in node.value):
            self.read.fail(node, "an any_order group cannot hold another one; list all steps in one group")
        pairs = self.read.mapping(node, "a step", _STEP_KEYS)
        task = self._task(node, pairs)
        guard = self._flag(pairs, "guard", not isinstance(task, Reach))
        if guard and isinstance(task, Reach):
            self.read.fail(pairs["guard"][0], "a reach cannot stay finished, the hand moves on; drop 'guard'")
        label = self.read.text(pairs["label"][1], "label", 80) if "label" in pairs else task.name
        timeout = self._count(pairs, "timeout", 1, self.env.spec.episode_steps)
        optional, retries = self._flag(pairs, "optional", False), self._count(pairs, "retries", 0, 0)
        hold = self._count(pairs, "hold", 1, min(DEFAULT_HOLD, timeout), high=timeout)
        return RecipeStep(task, label, timeout, optional, retries, hold, guard)

    def _task(self, node: yaml.Node, pairs: Pairs) -> Task:
        given = [key for key in _ACTIONS if key in pairs]
        if len(given) != 1:
            what = "nothing to do" if not given else " and ".join(f"'{key}'" for key in given)
            self.read.fail(node, f"a step has {what}; give one of 'task', 'move' (with 'to'), 'reach'")
        if "to" in pairs and given != ["move"]:
            self.read.fail(pairs["to"][0], f"'to' goes with 'move', not with '{given[0]}'; drop one")
        value = pairs[given[0]][1]
        if given == ["task"]:
            return self._named(self.read.text(value, "task"), value)
        return self._move(value, pairs) if given == ["move"] else self._reach(value)

    def _named(self, name: str, node: yaml.Node) -> Task:
        if name not in self.env.tasks:
            self.read.fail(node, f"no task {quoted(name)}{nearest(name[:60], list(self.env.tasks))}")
        return self.env.tasks[name]

    def _move(self, node: yaml.Node, pairs: Pairs) -> Task:
        fixture = self._fixture(node, "move")
        if "to" not in pairs:
            self.read.fail(node, f"'move: {fixture}' has no 'to'; add 'to: ...' {self._range(fixture)}")
        key_node, to_node = pairs["to"]
        to = self.read.number(to_node, f"'to' of {fixture} {self._range(fixture)}")
        with self._located(key_node):
            return self.env.move(fixture, to)

    def _reach(self, node: yaml.Node) -> Task:
        if not isinstance(node, yaml.SequenceNode):
            fixture = self._fixture(node, "reach")
            return self.env.reach(fixture)
        if len(node.value) != 3:
            self.read.fail(node, f"reach has {len(node.value)} values; give a fixture or [x, y, z] in m")
        point = [self.read.number(item, "a coordinate of reach") for item in node.value]
        with self._located(node):
            return self.env.reach(point)

    def _fixture(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.read.fail(node, f"{what} must name a fixture, not {kind(node)}")
        name = self.read.text(node, what)
        names = [fixture.name for fixture in self.env.spec.fixtures]
        if name not in names:
            self.read.fail(node, f"no fixture {quoted(name)}{nearest(name[:60], names)}")
        return name

    def _range(self, fixture: str) -> str:
        found = self.env.spec.fixture(fixture)
        return f"({found.low:g} to {found.high:g} {found.unit})"

    def _count(self, pairs: Pairs, key: str, low: int, default: int, high: int = MAX_COUNT) -> int:
        return self.read.whole(pairs[key][1], key, low, high) if key in pairs else default

    def _flag(self, pairs: Pairs, key: str, default: bool) -> bool:
        return self.read.flag(pairs[key][1], key) if key in pairs else default

    @contextmanager
    def _located(self, node: yaml.Node) -> Iterator[None]:
        """Puts file and line before a complaint of the environment or of the recipe's own records."""
        try:
            yield
        except TaskError as error:
            self.read.fail(node, str(error))


def shipped_recipes(env_name: str) -> dict[str, Path]:
    """Name to file of the recipes that ship with an environment, sorted; empty if there are none."""
    if not env_name.isidentifier():
        return {}
    folder = Path(str(files("tasks"))) / env_name / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name_or_path: str | Path, env: RecipeEnvironment) -> Recipe:
    """The shipped recipe of that name, or else the recipe in that file.

    Raises:
        TaskError: There is neither (with the nearest shipped name), or the file is wrong.
    """
    wanted = str(name_or_path)
    shipped = shipped_recipes(env.spec.name)
    if isinstance(name_or_path, str) and wanted in shipped:
        return load_recipe(shipped[wanted], env)
    path = Path(wanted)
    if path.suffix in (".yaml", ".yml") or path.name != wanted or os.path.lexists(path):
        return load_recipe(path, env)
    hint = nearest(wanted[:60], list(shipped)) if shipped else ""
    raise TaskError(f"no recipe {quoted(wanted)} ships with {env.spec.name}, and no such file{hint}")
