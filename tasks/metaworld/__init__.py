"""Meta-World's tasks by scene: a Sawyer arm and one thing to move. Yu et al. (2019), "Meta-World"."""
