"""Hyperparameter sweeps from W&B's sweep files, without an account; see docs/sweeps.md."""
