"""Training of ensembles: batches, losses, checkpoints, several processes."""
