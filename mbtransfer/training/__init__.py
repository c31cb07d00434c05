"""Training of models from datasets: fit, adaptation and task policies."""
