"""What is asked: environments, tasks and recipes."""
