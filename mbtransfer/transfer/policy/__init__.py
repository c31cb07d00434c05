"""Transfer of policies that are trained without a step in the environment."""
