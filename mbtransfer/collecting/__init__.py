"""Pooled data: units of work, the behaviours that act in them, where their episodes start and how they branch."""
