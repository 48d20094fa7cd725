"""Metrics: distances between restored and clean audio."""
