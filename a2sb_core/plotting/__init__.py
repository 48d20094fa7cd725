"""Pictures of recordings, evaluations and ablations, as PNG files."""
