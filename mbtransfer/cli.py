"""The command line: settings in, exit code out.

0 done; 2 the user's input is wrong, with one line that says what; 1 anything else; 130 after Ctrl-C.
"""

import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TextIO

from mbtransfer import __version__
from mbtransfer.errors import USER_ERRORS, UserError

DEBUG = "MBTRANSFER_DEBUG"
"""Environment variable: set it to see the traceback of an error."""

RUN = {
    "demo": "mbtransfer.demo:run_demo",
    "collect": "mbtransfer.commands.collect:run_collect",
    "fit": "mbtransfer.fitting:run_fit",
    "evaluate": "mbtransfer.evaluate:run_evaluate",
    "prepare": "mbtransfer.commands.prepare:run_prepare",
    "adapt": "mbtransfer.commands.adapt:run_adapt",
    "plan": "mbtransfer.plan:run_plan",
    "check": "mbtransfer.commands.check:run_check",
    "calibration": "mbtransfer.commands.calibration:run_calibration",
    "sweep": "mbtransfer.sweep:run_sweep",
    "bench": "mbtransfer.commands.bench:run_bench",
    "benchmark": "mbtransfer.commands.benchmark:run_benchmark",
    "report": "mbtransfer.commands.report:run_report",
    "tasks": "mbtransfer.commands.tasks:run_tasks",
    "dataset info": "mbtransfer.commands.dataset:run_dataset",
    "dataset import": "mbtransfer.commands.exchange:run_import",
    "dataset export": "mbtransfer.commands.exchange:run_export",
    "dataset strip": "mbtransfer.commands.strip:run_strip",
}
"""What each command calls with its settings; imported only then, so that help comes at once."""

_HELP = """\
usage: mbtransfer COMMAND [FLAGS]

Learn one world model of one room; solve new tasks in it at once by planning.

{commands}

Begin with:          mbtransfer demo --out runs/demo
Flags of a command:  mbtransfer COMMAND --help
Traceback of errors: {debug}=1 mbtransfer COMMAND ...

Exit codes: 0 done, 2 wrong input, 1 anything else, 130 interrupted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process, unless one is given) and return the exit code."""
    warnings.showwarning = _show_warning
    # GLFW complains on import where there is no screen; nothing here opens a window.
    warnings.filterwarnings("ignore", module="glfw")
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept, run the same command again to continue", 130)
    except USER_ERRORS as error:
        return _fail(f"error: {error}", 2)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"error: {where}{error.strerror or error}", 2)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return _fail(f"error: {what} (unexpected; run again with {DEBUG}=1 to see where)", 1)


def _run(argv: list[str]) -> int:
    if argv[:1] in (["-h"], ["--help"]):
        print(_help())
        return 0
    if argv[1:] in (["-h"], ["--help"]) and argv[0] not in RUN:
        print(_help(argv[0]))
        return 0
    if argv == ["--version"]:
        print(f"mbtransfer {__version__}")
        return 0
    from mbtransfer.arguments import command, parse  # not above: Ctrl-C is clean from the first moment on

    settings = parse(argv)
    _check(settings)
    module, function = RUN[command(argv)[0]].split(":")
    getattr(import_module(module), function)(settings)
    sys.stdout.flush()
    return 0


def _help(group: str = "") -> str:
    """What there is: every command, or those of a group.

    Raises:
        UserError: there is no such group.
    """
    from mbtransfer.arguments import command
    from mbtransfer.config import COMMANDS

    about = {name: (settings.__doc__ or "").strip().splitlines()[0] for name, settings in COMMANDS.items()}
    if group:
        command([group, "--json"])  # it knows what to say of a group that is none
        about = {name: text for name, text in about.items() if name.startswith(f"{group} ")}
    return _HELP.format(commands="\n".join(f"  {name:16}{text}" for name, text in about.items()), debug=DEBUG)


def _check(settings: Any) -> None:
    """What holds for every command, before it spends time."""
    asked = vars(settings)
    if "recipe" in asked and bool(settings.task or settings.task_file) == bool(settings.recipe):
        raise UserError("give either --task or --recipe")
    truth = asked.get("dynamics") == "oracle" and asked.get("reward") != "learned"
    if "dynamics" in asked and settings.model is None and not truth:
        raise UserError("--model must be given, unless with --dynamics oracle and --reward true")
    from mbtransfer.arguments import outputs

    for flag, path in outputs(settings):
        if flag != "--out" and path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file"
            raise UserError(f"{flag} {path} is {what}; give the name of a file")
    if "planner" in asked:
        from planners.registry import PLANNERS
        from tasks.spec import nearest

        if settings.planner not in PLANNERS:
            raise UserError(f"no planner {settings.planner!r}{nearest(settings.planner, list(PLANNERS))}")
    if "tracker" in asked:
        from mbtransfer.tracking.opening import check_tracker

        check_tracker(settings.tracker)
    if asked.get("threads"):
        import torch

        torch.set_num_threads(settings.threads)


def _fail(line: str, code: int) -> int:
    """One line on standard error, whatever the message is made of."""
    if os.environ.get(DEBUG):
        traceback.print_exc()
    print(re.sub(r"\s*\n\s*", " ", line.strip()), file=sys.stderr)
    return code


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    """A warning is one line too."""
    print("warning:", re.sub(r"\s*\n\s*", " ", str(message)), file=file or sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
