"""Rewards of many kinds in the kitchen: what heads, planners and `check` make of them."""
