"""The task `declip` for a2sb."""
