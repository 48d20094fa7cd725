"""Losses: terms of the training objective."""
