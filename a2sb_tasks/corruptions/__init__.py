"""Corruptions: the kinds of damage, one per task."""
