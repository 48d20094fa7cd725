"""Ablations: a grid of training configurations that are trained, evaluated and compared."""
