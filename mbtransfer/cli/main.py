"""Command dispatch, warnings and exit codes.

0: done; 2: wrong input, explained in one line; 1: any other error; 128 + N: ended by signal N (130 after Ctrl-C).
"""

import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TextIO

from mbtransfer import __version__
from mbtransfer.errors import USER_ERRORS, ClaimError, UserError
from mbtransfer.runtime.signals import exit_code, stopping
from mbtransfer.runtime.streams import drop, full, prepare_streams, say

DEBUG = "MBTRANSFER_DEBUG"
"""Environment variable that makes errors show their traceback."""

_HELP = """\
usage: mbtransfer COMMAND [FLAGS]

Learn one world model of one room; solve new tasks in it at once by planning.

{commands}

Begin with:          mbtransfer demo --out runs/demo
Flags of a command:  mbtransfer COMMAND --help
Traceback of errors: {debug}=1 mbtransfer COMMAND ...
Completion in bash:  eval "$(mbtransfer --completion bash)"; zsh and tcsh likewise

Exit codes: 0 done, 2 wrong input, 1 anything else, 130 interrupted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (by default that of the process) and return the exit code."""
    prepare_streams()
    warnings.showwarning = _show_warning
    # If the home folder is not writable, Matplotlib keeps its font cache elsewhere and warns at every start.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # GLFW warns on import if there is no display; nothing here opens a window.
    warnings.filterwarnings("ignore", module="glfw")
    # Figures show boxes for characters that their font lacks: folder and task names may be in any script.
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
    try:
        with stopping():
            try:
                return _run(sys.argv[1:] if argv is None else list(argv))
            finally:
                sys.stdout.flush()
    except KeyboardInterrupt as stop:
        line = "interrupted; what was finished is kept, run the same command again to continue"
        return _fail(line, exit_code(stop))
    except USER_ERRORS as error:
        return _fail(f"error: {error}", 2)
    except ClaimError as error:
        return _fail(f"error: {error}", 1)
    except BrokenPipeError:
        return _unread()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Rich raises SystemExit instead
            return _unread()
        raise
    except OSError as error:
        where = error.filename or ("standard output" if full(sys.stdout) else "")
        return _fail(f"error: {f'{where}: ' if where else ''}{error.strerror or error}", 2)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return _fail(f"error: {what} (unexpected; run again with {DEBUG}=1 to see where)", 1)


def _run(argv: list[str]) -> int:
    if argv[:1] in (["-h"], ["--help"]):
        say(*_help().splitlines())
        return 0
    from mbtransfer.config import COMMANDS  # imported late, so that Ctrl-C is handled from the start

    if argv[1:] in (["-h"], ["--help"]) and argv[0] not in COMMANDS:
        say(*_help(argv[0]).splitlines())
        return 0
    if argv == ["--version"]:
        from mbtransfer.runtime.environment import machine

        say(f"mbtransfer {__version__}", *machine())
        return 0
    if argv[:1] == ["--completion"]:
        from mbtransfer.cli.completion import print_completion

        print_completion(" ".join(argv[1:]) or "bash")
        return 0
    _check_surroundings(argv)
    from mbtransfer.cli.parser import command_name, parse

    settings = parse(argv)
    _check(settings)
    run_function(command_name(argv)[0])(settings)
    return 0


def run_function(name: str) -> Callable[[Any], Any]:
    """The function that runs a command, imported on demand: `run_info` in `commands/dataset.py` for `dataset info`."""
    module = import_module(f"mbtransfer.cli.commands.{name.split()[0]}")
    found: Callable[[Any], Any] = getattr(module, f"run_{name.split()[-1]}")
    return found


def _help(group: str = "") -> str:
    """The help text: every command, or those of a group.

    Raises:
        UserError: there is no such group.
    """
    from mbtransfer.cli.parser import command_name
    from mbtransfer.config import COMMANDS

    about = {name: (settings.__doc__ or "").strip().splitlines()[0] for name, settings in COMMANDS.items()}
    if group:
        command_name([group, "--json"])  # raises for an unknown group
        about = {name: text for name, text in about.items() if name.startswith(f"{group} ")}
    return _HELP.format(commands="\n".join(f"  {name:16}{text}" for name, text in about.items()), debug=DEBUG)


def _check_surroundings(argv: list[str]) -> None:
    """Refuse what makes PyTorch and safetensors fail without a clear message."""
    try:
        os.getcwd()
    except OSError as error:
        raise UserError("the current folder is no longer there; change to another one") from error
    for word in argv:
        try:
            os.fsencode(word).decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{word} is not UTF-8; give the file or folder another name") from error


def _check(settings: Any) -> None:
    """Checks common to all commands, before any time is spent."""
    asked = vars(settings)
    if "recipe" in asked and bool(settings.task or settings.task_file) == bool(settings.recipe):
        raise UserError("give either --task or --recipe")
    learned = asked.get("reward") == "learned" or (
        asked.get("reward", "") is None and not asked.get("task_file")
    )
    truth = asked.get("dynamics") == "oracle" and not learned
    if "dynamics" in asked and settings.model is None and not truth:
        raise UserError("--model must be given, except with --dynamics oracle and --reward true")
    from mbtransfer.cli.parser import outputs

    for flag, path in outputs(settings):
        if flag != "--out" and path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file"
            raise UserError(f"{flag} {path} is {what}; give the name of a file")
    if "planner" in asked:
        from planners.registry import find_planner

        find_planner(settings.planner)
    if "tracker" in asked:
        from mbtransfer.tracking.factory import check_tracker

        check_tracker(settings.tracker)
    if asked.get("threads"):
        import torch

        torch.set_num_threads(settings.threads)


def _fail(line: str, code: int) -> int:
    if os.environ.get(DEBUG):
        say(*traceback.format_exc().splitlines(), error=True)
    say(_joined(line), error=True)
    return code


def _unread() -> int:
    """The reader of our output has closed the pipe: return the exit code of a process ended by SIGPIPE."""
    drop(sys.stdout)
    return 141


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """Print a warning as one line."""
    say(_joined(f"warning: {message}"), error=True)


def _joined(text: str) -> str:
    """Join the lines of a message into one."""
    return re.sub(r"\s*\n\s*", " ", text.strip())


if __name__ == "__main__":
    sys.exit(main())
