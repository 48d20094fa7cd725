"""Built-in parts of the paper: representations, corruptions, bridges, predictions, samplers, metrics, baselines."""
