"""Ensemble dynamics models and reward heads."""
