"""Presets: whole compositions by name."""
