"""Curation of public data sets: metadata, licences, bandwidths, manifests and attribution."""
