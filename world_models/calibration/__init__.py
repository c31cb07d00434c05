"""What a model's doubts are worth: disagreement in percentiles, intervals by horizon, novelty, roll-outs judged."""
