"""Transfer of the dynamics: pooled, fine-tuned, single-task, and from learned initial weights."""
