"""Training data: sources of audio, segments, augmentation, loading."""
