"""Errors that the command line answers with one line and exit code 2."""

from planners.errors import PlannerError
from tasks.errors import TaskError
from world_models.errors import ModelError


class UserError(ValueError):
    """Input that cannot be used: one line that says what is wrong, where, and what to do."""


class ClaimError(Exception):
    """What a card claims was measured again and is not so: one line that says which figures. Exit code 1."""


USER_ERRORS = (UserError, TaskError, ModelError, PlannerError)
