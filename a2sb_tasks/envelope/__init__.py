"""Envelope: levels of bands over time, and a model that predicts the missing ones."""
