"""Presets: complete model configurations by name."""
