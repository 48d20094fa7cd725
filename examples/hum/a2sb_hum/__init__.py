"""The task `hum` for a2sb."""
