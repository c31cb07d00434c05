"""Parser of recipes, with errors by file, line and column; shipped recipes by name."""

import os
import re
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from tasks.errors import TaskError
from tasks.recipe.recipe import (
    DEFAULT_GRACE,
    DEFAULT_HOLD,
    Group,
    Recipe,
    RecipeEnvironment,
    RecipeStep,
    conflict,
)
from tasks.recipe.yaml_reader import MAX_BYTES, NodeReader, find, kind, one_line, quoted, read_source
from tasks.spec import Fixture, nearest
from tasks.task import Reach, Task


def load_recipe(path_or_text: str | Path, env: RecipeEnvironment) -> Recipe:
    """Reads a recipe for an environment.

    Args:
        path_or_text: A file, or the YAML itself (a str with more than one line).
        env: Where names and ranges come from.

    Raises:
        TaskError: `FILE:LINE:COLUMN: what is wrong; nearest valid name or range`, on one line.
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
        reader.fail(None, f"longer than {MAX_BYTES} characters; a recipe is a short text")
    root = reader.compose(text)
    values = reader.values(root)
    try:
        written = _Recipe.model_validate(values, context=env)
        return Recipe(written.name, written.description, tuple(written.steps), written.grace)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        reader.fail(find(root, wrong["loc"]), _message(wrong))
    except TaskError as error:
        reader.fail(find(root, ["steps"]), str(error))


def _message(wrong: ErrorDetails) -> str:
    """One of pydantic's errors in a line; those that we raise are sentences already."""
    kind_of, text = wrong["type"], wrong["msg"].removeprefix("Value error, ")
    if kind_of in ("value_error", "said"):
        return text
    key = next(part for part in reversed(wrong["loc"]) if isinstance(part, str))
    if kind_of == "missing":
        return f"the recipe has no '{key}'; add '{key}: ...'"
    text = f"{key} {text.partition(' ')[2].replace(' after validation', '')}"
    return text if kind_of in ("too_short", "too_long") else f"{text}, not {kind(wrong['input'])}"


def _error(problem: object, *place: str | int) -> ValidationError:
    """An error at a place inside the value that is being validated."""
    error = PydanticCustomError("said", "{text}", {"text": str(problem)})
    return ValidationError.from_exception_data(
        "recipe", [InitErrorDetails(type=error, loc=place, input=None)]
    )


def _written(pattern: str, what: str) -> BeforeValidator:
    """Takes only what stands without quotes and matches; pydantic alone would take more."""

    def check(value: object) -> object:
        if type(value) is not str or not re.fullmatch(pattern, value):
            raise PydanticCustomError("written", "Input should be {what}", {"what": what})
        return value

    return BeforeValidator(check)


_DECIMAL = r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?"
_LINE = BeforeValidator(lambda text: one_line(text, 1_001) if isinstance(text, str) else text)
_Text = Annotated[str, Field(min_length=1, max_length=1_000), _LINE]
_Count = Annotated[int, _written("[+-]?[0-9]{1,9}", "a whole number"), Field(le=100_000)]
_Flag = Annotated[bool, _written("(?i:true|yes|on|false|no|off)", "true or false")]
_Number = Annotated[float, _written(_DECIMAL, "a finite number such as 0.35"), Field(allow_inf_nan=False)]
_NAME, _NUMBER, _POINT = TypeAdapter(_Text), TypeAdapter(_Number), TypeAdapter(list[_Number])


def _known(value: object, what: str, names: list[str]) -> str:
    name = _NAME.validate_python(value)
    if name not in names:
        raise TaskError(f"no {what} {quoted(name)}{nearest(name[:60], names)}")
    return name


def _task(value: object, info: Any) -> Task:
    return info.context.tasks[_known(value, "task", list(info.context.tasks))]


def _fixture(value: object, info: Any) -> Fixture:
    fixtures = info.context.spec.fixtures
    return info.context.spec.fixture(_known(value, "fixture", [fixture.name for fixture in fixtures]))


def _move(value: object, info: Any) -> Task:
    """The task of `move` and `to` together."""
    fixture = info.data.get("move")
    if fixture is None:
        raise TaskError("'to' goes with 'move'; name the fixture to move, or drop 'to'")
    try:
        return info.context.move(fixture.name, _NUMBER.validate_python(value))
    except ValidationError as error:
        limits = _limits(fixture)
        raise TaskError(f"'to' should be a finite number {limits}, not {kind(value)}") from error


def _reach(value: object, info: Any) -> Task:
    if isinstance(value, str):
        return info.context.reach(_fixture(value, info).name)
    if not isinstance(value, list) or len(value) != 3:
        raise TaskError(f"reach should be a fixture or [x, y, z] in m, not {kind(value)}")
    return info.context.reach(_POINT.validate_python(value))


def _limits(fixture: Fixture) -> str:
    return f"({fixture.low:g} to {fixture.high:g} {fixture.unit})"


def _recipe_name(name: str, info: Any) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise TaskError(f"name {quoted(name)} may hold only letters, digits, '_' and '-'")
    if name in info.context.tasks:
        raise TaskError(f"name '{name}' is the name of a task; give the recipe another one")
    return name


class _Lines(BaseModel):
    """'key: value' lines, each key a field."""

    what: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: object) -> object:
        keys = list(cls.model_fields)
        if not isinstance(value, dict):
            what = f"{cls.what} must be 'key: value' lines, not {kind(value)}"
            raise TaskError(f"{what}; keys: {', '.join(keys)}")
        for key in value:
            if key not in keys:
                raise _error(f"{cls.what} has no key {quoted(key)}{nearest(key[:60], keys)}", key)
        return value


class _Step(_Lines):
    what = "a step"
    task: Annotated[Task | None, PlainValidator(_task)] = None
    move: Annotated[Fixture | None, PlainValidator(_fixture)] = None
    to: Annotated[Task | None, PlainValidator(_move)] = None
    reach: Annotated[Task | None, PlainValidator(_reach)] = None
    label: Annotated[str, Field(min_length=1, max_length=80), _LINE] = ""
    timeout: Annotated[_Count, Field(ge=1)] = 0
    retries: Annotated[_Count, Field(ge=0)] = 0
    optional: _Flag = False
    hold: Annotated[_Count, Field(ge=1)] = 0
    guard: _Flag = True


def _step(value: object, info: Any) -> RecipeStep:
    """A step; '- light_on' is short for '- task: light_on'."""
    if isinstance(value, dict) and "any_order" in value:
        raise TaskError("an any_order group cannot hold another one; list all steps in one group")
    step = _Step.model_validate({"task": value} if isinstance(value, str) else value, context=info.context)
    given = [key for key in ("task", "move", "reach") if key in step.model_fields_set]
    if len(given) != 1:
        what = " and ".join(f"'{key}'" for key in given) or "nothing to do"
        raise TaskError(f"a step has {what}; give one of 'task', 'move' (with 'to'), 'reach'")
    if step.move and not step.to:
        raise _error(f"'move: {step.move.name}' has no 'to'; add 'to: ...' {_limits(step.move)}", "move")
    task = next(filter(None, (step.task, step.to, step.reach)))
    moves_on = isinstance(task, Reach)
    if moves_on and step.guard and "guard" in step.model_fields_set:
        raise _error("a reach cannot stay finished, the hand moves on; drop 'guard'", "guard")
    longer = max(0, step.hold - DEFAULT_HOLD)  # a long hold comes on top of the time to get there
    timeout = step.timeout or info.context.spec.episode_steps + longer
    hold = step.hold or min(DEFAULT_HOLD, timeout)
    label, guard = step.label or task.name, step.guard and not moves_on
    try:
        return RecipeStep(task, label, timeout, step.optional, step.retries, hold, guard)
    except TaskError as error:
        raise _error(error, "hold") from error


class _AnyOrder(_Lines):
    what = "an any_order group"
    any_order: Annotated[list[Annotated[RecipeStep, PlainValidator(_step)]], Field(min_length=1)]


def _group(value: object, info: Any) -> Group:
    if not isinstance(value, dict) or "any_order" not in value:
        return Group((_step(value, info),))
    steps = _AnyOrder.model_validate(value, context=info.context).any_order
    for (_, first), (i, second) in combinations(enumerate(steps), 2):
        if problem := conflict(first, second):
            raise _error(problem, "any_order", i)
    return Group(tuple(steps), any_order=True)


class _Recipe(_Lines):
    what = "a recipe"
    name: Annotated[str, Field(min_length=1, max_length=64), _LINE, AfterValidator(_recipe_name)]
    description: _Text = ""
    grace: Annotated[_Count, Field(ge=0)] = DEFAULT_GRACE
    steps: Annotated[list[Annotated[Group, PlainValidator(_group)]], Field(min_length=1)]


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
