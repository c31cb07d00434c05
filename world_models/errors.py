"""The one error that a wrong model, checkpoint or batch raises."""


class ModelError(ValueError):
    """A model that cannot be built, loaded or trained: one line that says what, where and what to do."""
