"""The one error that a wrong planner setting or a failed plan raises."""


class PlannerError(ValueError):
    """A plan that cannot be made: one line that says what, where and what to do."""
