"""Any Gymnasium environment with Box spaces as one of ours: `gym:Pusher-v5`, `gym:my_env.py:MyEnv`."""
