"""What the numbers are measured with: `benchmarks.planner` for speed, `benchmarks.kitchen` for success."""
