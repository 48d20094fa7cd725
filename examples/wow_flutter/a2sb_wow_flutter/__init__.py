"""The task `steady` for a2sb."""
