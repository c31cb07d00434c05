"""Transfer of policies that learn in the environment, by Stable-Baselines3."""
