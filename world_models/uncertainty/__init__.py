"""Uncertainty: disagreement, predictive intervals, novelty."""
