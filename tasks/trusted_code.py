"""Trust in Python code that an environment's name would import.

A name that the caller gives (`make`, `--env`) may run the caller's own program. A name that was read from a file is
data: it may choose among installed environments and runs a program only if the user says that he trusts it.
"""

import hashlib
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tasks.errors import TaskError
from tasks.gymnasium_env.loader import parse_name

FAMILY = "gym"
"""The one family of environments whose names can hold code."""


class TrustedCodeWarning(UserWarning):
    """Python code that a file names is about to run, because the user trusts it."""


@dataclass(frozen=True)
class NamedCode:
    """Python code that a name would run.

    Attributes:
        name: the Python file, the module, or the keyword argument.
        path: the file that would run; None where there is none.
    """

    name: str
    path: Path | None

    def __str__(self) -> str:
        """Name, path and checksum, as a user needs them to decide."""
        if self.path is None or not self.path.is_file():
            return self.name
        return f"{self.path}, sha256 {hashlib.sha256(self.path.read_bytes()).hexdigest()}"


def named_code(name: str, copy: Path | None = None) -> NamedCode | None:
    """The code that an environment's name would run; None for an installed environment.

    Args:
        name: of the environment.
        copy: what is read if the file is not there that declares the environment.

    Raises:
        TaskError: the name cannot be read.
    """
    family, colon, text = name.partition(":")
    if colon and family == "variant":
        from tasks.variant_file import read_variant

        return named_code(read_variant(text, copy)[0].env)
    if not colon or family != FAMILY:
        return None
    asked = parse_name(text)
    if asked.attribute:
        return NamedCode(asked.target, Path(asked.target).resolve())
    if asked.module:
        return NamedCode(f"module {asked.module}", _origin(asked.module))
    for option, value in asked.arguments.items():
        if isinstance(value, str) and not value.replace("-", "_").isidentifier():
            return NamedCode(
                f"argument {option}={value!r}", None
            )  # it could name a module or a file in its turn
    return None


def check_recorded_name(
    name: str, source: str, *, trust_code: bool = False, copy: Path | None = None
) -> None:
    """Refuse an environment's name from a file if it would run code, unless that is trusted.

    Args:
        name: what the file says.
        source: what messages call the file.
        trust_code: the user trusts it: path and checksum are told in a `TrustedCodeWarning`.
        copy: see `named_code`.

    Raises:
        TaskError: the name would run code, or cannot be read.
    """
    code = named_code(name, copy)
    if code is None:
        return
    if not trust_code:
        raise TaskError(
            f"{source} names Python code as its environment, {name!r} ({code}), which was not run; "
            "if you trust it, add --trust-code (in Python trust_code=True)"
        )
    warnings.warn(f"running {code}, named by {source}", TrustedCodeWarning, stacklevel=3)


def _origin(module: str) -> Path | None:
    """The file of the outermost package: to look for an inner one would already import it."""
    try:
        found = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None
