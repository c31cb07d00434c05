"""The figures of the concept pages, drawn from a finished demo: `python -m benchmarks.figures --demo runs/demo`."""
