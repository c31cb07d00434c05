"""A task for the puck of own_environment.py: lie still in the far corner."""

place, speed = [spec.index("x"), spec.index("y")], [spec.index("x_velocity"), spec.index("y_velocity")]


def reward(obs, action, next_obs):
    """The nearer the better, and at rest."""
    return -(next_obs[..., place] - 0.7).norm(dim=-1) - 0.5 * next_obs[..., speed].norm(dim=-1)


def success(obs):
    """Within 10 cm, and slow."""
    return ((obs[..., place] - 0.7).norm(dim=-1) < 0.1) & (obs[..., speed].norm(dim=-1) < 0.02)
