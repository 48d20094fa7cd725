"""Restoration of recordings: preparation, streaming, splicing, output."""
