"""Transfer of values: successor features and generalised policy improvement."""
