"""Few-shot adaptation of a fitted ensemble."""
