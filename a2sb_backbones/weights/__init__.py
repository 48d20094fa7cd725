"""Models that are shipped or registered, one folder each."""
