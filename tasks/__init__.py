"""Environments, tasks and recipes.

Importing it makes `mbtransfer/Kitchen-v0` known to Gymnasium; the simulator is loaded when one is made.
"""

from gymnasium.envs.registration import register, registry

KITCHEN_ID = "mbtransfer/Kitchen-v0"

if KITCHEN_ID not in registry:
    register(KITCHEN_ID, "tasks.gym_env:TaskEnv", max_episode_steps=60, kwargs={"environment": "kitchen"})
