"""Bridges: random processes between clean and degraded audio."""
