"""FrankaKitchen-v1 of gymnasium-robotics: a Franka arm, seven subtasks, the environment's own physics and success."""
