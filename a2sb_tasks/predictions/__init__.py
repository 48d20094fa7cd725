"""Predictions: the quantity that the network estimates, and its training loss."""
