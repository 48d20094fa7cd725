"""Built-in bridges."""
