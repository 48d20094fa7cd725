"""Configuration: components by name, whole runs, and how they are loaded."""
