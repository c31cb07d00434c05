"""What is learned: ensemble dynamics and reward heads."""
