"""How to decide: planners that see a function of candidates and nothing else."""
