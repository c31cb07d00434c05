"""Reward heads learned from labels."""
