"""Transfer of reward features: one trunk for the heads of many tasks."""
