"""The task `conceal` for a2sb."""
