"""Completion in the shell: `mbtransfer --completion bash` prints the script, which tyro writes from the settings."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

from mbtransfer.config import COMMANDS
from mbtransfer.errors import UserError
from tasks.spec import nearest

SHELLS = ("bash", "zsh", "tcsh")


def print_completion(shell: str) -> None:
    """Print the script that completes commands and flags in a shell.

    Raises:
        UserError: no such shell.
    """
    if shell not in SHELLS:
        raise UserError(f"no completion for {shell!r}{nearest(shell, list(SHELLS))}")
    try:
        tyro.cli(_union(_grouped()), prog="mbtransfer", args=["--tyro-print-completion", shell])
    except SystemExit:  # it has been printed
        return


def _grouped() -> dict[str, Any]:
    """The commands; those of two words by their first one."""
    found: dict[str, Any] = {}
    for name, settings in COMMANDS.items():
        first, _, second = name.partition(" ")
        if second:
            found.setdefault(first, {})[second] = settings
        else:
            found[first] = settings
    return found


def _union(commands: Mapping[str, Any]) -> Any:
    """All of them as the type that tyro takes for subcommands."""
    return reduce(or_, (
        Annotated[_union(what) if isinstance(what, dict) else what, tyro.conf.subcommand(name)]
        for name, what in commands.items()
    ))  # fmt: skip
