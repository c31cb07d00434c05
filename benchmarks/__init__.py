"""What the README's numbers were measured with: `python -m benchmarks.planner`, `python -m benchmarks.kitchen`."""
