"""The one error that a wrong task, recipe or environment raises."""


class TaskError(ValueError):
    """A task, recipe or environment that cannot be: one line that says what, where and what to do."""
