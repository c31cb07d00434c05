"""Planners: optimisers of action sequences that see only an objective function."""
