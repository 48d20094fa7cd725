"""Configurations: YAML files, overrides, origins of values, schemas."""
