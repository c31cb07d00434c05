"""The transfer methods by name, and a user's own from a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbtransfer.errors import UserError
from mbtransfer.task_file import run_file
from mbtransfer.transfer.method import Method
from mbtransfer.transfer.model.fine_tuned_model import FineTunedModel
from mbtransfer.transfer.model.model_transfer import ModelTransfer
from mbtransfer.transfer.model.oracle import Oracle
from mbtransfer.transfer.model.own_model import OwnModel
from mbtransfer.transfer.model_free.multitask_sac import MultitaskSAC
from mbtransfer.transfer.model_free.rl2 import RL2
from mbtransfer.transfer.model_free.sac import SoftActorCritic
from mbtransfer.transfer.policy.contextual_policy import ContextualPolicy
from mbtransfer.transfer.policy.distilled_policy import DistilledPolicy
from mbtransfer.transfer.policy.distral import Distral
from mbtransfer.transfer.policy.goal_policy import GoalPolicy
from mbtransfer.transfer.policy.imagined_policy import ImaginedPolicy
from mbtransfer.transfer.policy.pearl import PEARL
from mbtransfer.transfer.policy.random_policy import RandomPolicy
from mbtransfer.transfer.rewards.shared_heads import SharedHeads
from mbtransfer.transfer.value.gpi import SuccessorTransfer, SuccessorValue
from tasks.environment import Environment
from tasks.recipe.yaml_reader import one_line
from tasks.spec import nearest

LOWER, UPPER = RandomPolicy(), Oracle()
"""The ends of the normalisation."""

METHODS: dict[str, Method[Any]] = {
    method.name: method
    for method in (
        LOWER,
        SoftActorCritic(),
        MultitaskSAC(),
        RL2(),
        PEARL(),
        SuccessorTransfer(),
        ContextualPolicy(),
        GoalPolicy(),
        Distral(),
        ImaginedPolicy(),
        DistilledPolicy(),
        OwnModel(),
        SuccessorValue(),
        SharedHeads(),
        ModelTransfer(),
        FineTunedModel(),
        UPPER,
    )
}
"""Every method with its default settings, in the order of the table."""


def choose_methods(names: Sequence[str], own: Sequence[Method[Any]] = ()) -> list[Method[Any]]:
    """The methods of these names and the ends of the normalisation, in the order of the table; `all` names all.

    Raises:
        UserError: there is no such method.
    """
    known = METHODS | {method.name: method for method in own}
    for name in names:
        if name not in (*known, "all"):
            raise UserError(f"no method {name!r}{nearest(name, ['all', *known])}")
    asked = {*known} if "all" in names else {*names, LOWER.name, UPPER.name}
    return [method for name, method in known.items() if name in asked]


def load_method_file(path: Path, environment: Environment) -> list[Method[Any]]:
    """The methods that a Python file defines: its subclasses of `Method`, each with its default settings.

    The file is run, with `spec` and `env` in it, as a task file is: it can do all that a program of yours can.

    Raises:
        UserError: the file cannot be read or run, defines no method, or one that cannot be made or has a known name.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file; --method-file takes a Python file that defines methods")
    module = run_file(path, environment)
    kinds = [
        kind for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Method) and kind.__module__ == module.__name__
    ]  # fmt: skip
    if not kinds:
        raise UserError(f"{path}: defines no method; write a subclass of mbtransfer.transfer.method.Method")
    return [_made(kind, path) for kind in kinds]


def _made(kind: type[Method[Any]], path: Path) -> Method[Any]:
    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise UserError(f'{path}: {kind.__name__} needs a name, such as name = "mine"')
    if name in METHODS or name == "all":
        raise UserError(f"{path}: there is a method {name!r} already; choose another name")
    try:
        return kind()
    except Exception as error:
        said = one_line(f"{type(error).__name__}: {error}", 200)
        raise UserError(f"{path}: {kind.__name__}() raised {said}") from error
