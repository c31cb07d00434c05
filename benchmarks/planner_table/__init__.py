"""Which planner to choose: success, return and latency of each, at the same budgets."""
