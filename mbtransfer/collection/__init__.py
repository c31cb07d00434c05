"""Data collection: policies that act, rollouts, and resumable collection jobs."""
