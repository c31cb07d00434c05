"""Reader of files of variants, with errors by file, line and column.

env: dm_control:cartpole
variants:
  heavy: {mass: 2}
  weak and late:
    gear: {slide: 0.5}
    delay: 1
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from tasks.environment import Environment
from tasks.errors import TaskError
from tasks.recipe.yaml_reader import NodeReader, find, kind, quoted, read_source
from tasks.spec import nearest
from tasks.variants import Changes, DynamicsVariant, message, misfit, said

FAMILY = "variant"
"""Variants are named variant:FILE.yaml:NAME."""

_WHAT, _NEEDS = "file of variants", "'env' and 'variants'"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    env: Annotated[str, Field(min_length=1, max_length=1_000)]
    variants: Annotated[dict[str, Changes], Field(min_length=1)]


class VariantFile:
    """The environment and the variants of one file, not yet made.

    Args:
        path: the file.
        copy: another file that holds the same, if that is not there.

    Raises:
        TaskError: `FILE:LINE:COLUMN: what is wrong` on one line.
    """

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        self._named, path = path, copy if copy and not path.exists() and copy.is_file() else path
        self.text = read_source(path, f"a {_WHAT} (.yaml)", _WHAT)
        self._reader = NodeReader(str(path), _WHAT, _NEEDS)
        self._root = self._reader.compose(self.text)
        try:
            written = _File.model_validate(self._reader.values(self._root))
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            self._fail(_message(wrong), *wrong["loc"])
        self.env, self.names = written.env, list(written.variants)
        self._changes = written.variants

    def variant(self, name: str) -> DynamicsVariant:
        """The variant of that name.

        Raises:
            TaskError: there is none; names the nearest one.
        """
        if name not in self._changes:
            self._fail(f"no variant {quoted(name)}{nearest(name[:60], self.names)}", "variants")
        return self._changes[name].named(name)

    def environment(self, name: str, base: Environment) -> Environment:
        """The environment with that variant's dynamics, called variant:FILE:NAME.

        Args:
            name: of the variant.
            base: the environment that the file names.

        Raises:
            TaskError: there is no such variant, or the environment has no part that it names.
        """
        variant = self.variant(name)
        if problem := misfit(variant, base, base.make_scene(())):
            self._fail(": ".join(said(problem)), "variants", name, *problem[0])
        return replace(variant.of(base, f"{FAMILY}:{self._named}:{name}"), declared=self.text)

    def blame_environment(self, error: TaskError) -> Any:
        """Raise the error as one of the line that names the environment."""
        self._fail(str(error), "env")

    def _fail(self, text: str, *place: str | int) -> Any:
        self._reader.fail(find(self._root, place), text)


def read_variant(text: str, copy: Path | None = None) -> tuple[VariantFile, str]:
    """The file and the variant in it that `variant:TEXT` names, with TEXT as FILE.yaml:NAME.

    Args:
        text: path of the file and name of the variant.
        copy: another file that holds the same, if that is not there.

    Raises:
        TaskError: the text names no file and variant, or see `VariantFile`.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path or not name:
        raise TaskError(f"{FAMILY}:{text}: needs a file and a variant in it, as in {FAMILY}:mine.yaml:heavy")
    return VariantFile(Path(path), copy), name


def _message(wrong: ErrorDetails) -> str:
    """One of pydantic's errors in a line."""
    place, kind_of = wrong["loc"], wrong["type"]
    if kind_of == "missing":
        return f"the file has no '{place[-1]}'; add '{place[-1]}: ...'"
    if kind_of in ("said", "extra_forbidden", "model_type"):
        return message(wrong, tuple((_File if len(place) < 2 else Changes).model_fields))
    return f"{place[0]} {wrong['msg'].partition(' ')[2]}, not {kind(wrong['input'])}"
