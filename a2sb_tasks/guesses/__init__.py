"""Guesses: missing content estimated by classical methods, where a bridge starts."""
