"""Baselines: restorers without training, and adapters for other packages."""
