"""Upper bounds of values that files of other people may state."""

MAX_STEPS = 10_000
"""Largest number of network evaluations of a window."""

MAX_TEXT_BYTES = 1 << 20
"""Largest size of a configuration file in bytes."""

MAX_DEPTH = 40
"""Largest depth of mappings and lists within each other in a configuration."""

MAX_DIGITS = 100
"""Largest number of characters of an integer in a configuration."""

SOFTEST_DB, LOUDEST_DB = -40.0, 20.0
"""Range of the gain of what a restoration adds, in dB."""
