"""The task `requantize` for a2sb."""
