"""The error raised by an invalid task, recipe or environment."""


class TaskError(ValueError):
    """A task, recipe or environment that cannot be: one line that says what, where and what to do."""
