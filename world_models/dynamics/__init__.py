"""Ensemble dynamics: network, features and rollout."""
