"""Built-in predictions."""
