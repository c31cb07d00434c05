"""Diagnostics of a model: coverage, calibration and novelty detection."""
