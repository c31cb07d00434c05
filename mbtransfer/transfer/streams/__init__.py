"""Streams of tasks, one after the other, and measures of lifelong learning."""
