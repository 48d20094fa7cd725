"""Restoration of many files, on this machine or on a cluster."""
