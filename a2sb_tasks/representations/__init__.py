"""Representations: maps between audio and rows by frames."""
