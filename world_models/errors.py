"""The error raised by an invalid model, checkpoint or batch."""


class ModelError(ValueError):
    """A model that cannot be built, loaded or trained: one line that says what, where and what to do."""
