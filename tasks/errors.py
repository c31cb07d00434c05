"""The error raised by an invalid task, recipe or environment."""


class TaskError(ValueError):
    """A task, recipe or environment that cannot be: one line that says what, where and what to do."""


def no_simulator(name: str, what: str, instead: str) -> TaskError:
    """The error of an environment that is known by logs alone.

    Args:
        name: of the environment.
        what: needs a simulator.
        instead: what the user can do without one.
    """
    return TaskError(f"{name} has no simulator, and {what} needs one; {instead}")
