"""Error of planners."""


class PlannerError(ValueError):
    """A plan that cannot be made: one line that says what, where and what to do."""
