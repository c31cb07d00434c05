"""Reward heads: few simple functions of what is seen, chosen and weighed from labels."""
