"""Declipping for a2sb."""
