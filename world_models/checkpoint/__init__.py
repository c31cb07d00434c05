"""Checkpoints: safetensors, JSON manifests and atomic files."""
