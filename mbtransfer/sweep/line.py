"""The command line of a trial, word for word as W&B's agent builds it."""

import copy
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args


def command_line(content: Mapping[str, Any], params: Mapping[str, Any], folder: Path) -> list[str]:
    """The words of the command: macros by W&B's own functions, put together as its agent does.

    Args:
        content: of the sweep file.
        params: of the trial.
        folder: of the trial, for `${args_json_file}`.
    """
    words = create_sweep_command(copy.copy(content.get("command")))
    macros = create_sweep_command_args({"args": {name: {"value": value} for name, value in params.items()}})
    macros |= {"interpreter": ["python"], "program": [content.get("program")]}
    macros["args_json_file"] = [str(folder / "args.json")]
    if platform.system() != "Windows":
        macros["env"] = ["/usr/bin/env"]
    line: list[str] = []
    for word in map(str, words):
        macro = word.startswith("${") and word.endswith("}")
        line += (macros.get(word[2:-1]) or []) if macro else [word]
    return [str(word) for word in line]
