"""A task of your own: `mbtransfer evaluate --model MODEL --task-file examples/half_shut_drawer.py`.

Rewards and successes are functions of batches of observations, so that a planner can call them on imagined
states. `spec` is there already: it knows the column of every variable.
"""

from tasks.kitchen.scene import spec as kitchen

NAME = "half_shut_drawer"
DESCRIPTION = "leave the drawer open by a hand's width"

DRAWER = kitchen().index("drawer")
HANDLE = list(kitchen().fixture("drawer").handle)


def reward(obs, action, next_obs):
    """Come to the handle, then bring the drawer to 10 cm."""
    reach = next_obs[..., HANDLE].norm(dim=-1)
    return -reach - 10 * (next_obs[..., DRAWER] - 0.10).abs()


def success(obs):
    """Within 2 cm."""
    return (obs[..., DRAWER] - 0.10).abs() < 0.02
