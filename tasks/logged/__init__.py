"""Environments without a simulator: declared in a YAML file, known by their logs alone."""
