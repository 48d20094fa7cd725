"""The task `widen` for a2sb."""
