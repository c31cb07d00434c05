"""Sharing: cards that say what was measured, pushing and pulling of models and datasets, and measuring again."""
