"""What `gym:...` names: a registered id or a class in a Python file, with keyword arguments if wanted."""

import ast
import re
from dataclasses import dataclass
from typing import Any

from tasks.errors import TaskError

_FILE = re.compile(r"(.+\.py):([^:]*)")


@dataclass(frozen=True)
class Asked:
    """One Gymnasium environment, as a user names it.

    Attributes:
        text: all that stands after `gym:`.
        target: the id (also `module:ID`), or the path of a Python file.
        attribute: the class or function in the file; empty for an id.
        options: keyword arguments of the environment, as written.
    """

    text: str
    target: str
    attribute: str
    options: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name by which `tasks.registry.make` knows it."""
        return f"gym:{self.text}"

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments: Python literals (`False`, `0.5`), and text where one is none."""
        return {name: _value(written) for name, written in self.options}


def parse(text: str) -> Asked:
    """Read `ID`, `module:ID` or `FILE.py:CLASS`, each with `,NAME=VALUE` for arguments.

    Raises:
        TaskError: no id, a file without a class, or an argument that is not NAME=VALUE.
    """
    target, *options = text.split(",")
    if not target.strip():
        raise TaskError("gym: needs an environment, as in gym:Pendulum-v1 or gym:my_env.py:MyEnv")
    attribute = ""
    if match := _FILE.fullmatch(target):
        target, attribute = match[1], match[2]
    if target.endswith(".py") and not attribute.isidentifier():
        raise TaskError(f"gym:{text}: say which class or function of the file, as in gym:{target}:MyEnv")
    return Asked(text, target, attribute, tuple(_option(text, option) for option in options))


def _option(text: str, option: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in option.partition("="))
    if not equals or not name.isidentifier():
        raise TaskError(f"gym:{text}: an argument is written NAME=VALUE, not {option!r}")
    return name, value


def _value(written: str) -> Any:
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return written
